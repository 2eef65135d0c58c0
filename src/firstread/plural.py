"""Numbers with their nouns, for messages of every room."""

from __future__ import annotations


def count(n: int, thing: str, things: str = "") -> str:
    """A number with its noun, and what agrees with it.

    >>> count(1, "film"), count(2, "film"), count(3, "copy", "copies")
    ('1 film', '2 films', '3 copies')
    >>> count(1, "film has", "films have") + " no label"
    '1 film has no label'
    """
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"
