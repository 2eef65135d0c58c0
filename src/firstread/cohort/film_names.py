"""What a film's name tells of its patient, as the Guangzhou set names its films.

`personN` is counted separately for bacteria and for virus, and `NORMAL2-IM-n` is another child
than `IM-n`.
"""

from __future__ import annotations

import re
from pathlib import Path

_PERSON = re.compile(r"person(\d+)_(bacteria|virus)_\d+(?:_\d+)*", re.IGNORECASE)
NORMAL = re.compile(r"(NORMAL2-IM|IM)-(\d+)(?:-\d+)*", re.IGNORECASE)
_MENDELEY = re.compile(r"(BACTERIA|VIRUS|NORMAL)-(\d+)-\d+", re.IGNORECASE)
_ETIOLOGY = {"bacteria": "bacterial", "virus": "viral", "normal": "normal"}


def parse_name(file_name: str) -> tuple[str, str, int | None, str]:
    """(patient, series, number, etiology) as far as a file's name tells them.

    >>> parse_name("person12_virus_34.jpeg")
    ('virus-12', 'virus', 12, 'viral')
    >>> parse_name("NORMAL2-IM-0383-0001.jpeg")
    ('NORMAL2-IM-383', 'NORMAL2-IM', 383, 'normal')
    """
    stem = file_name.rsplit(".", 1)[0]
    if m := _PERSON.fullmatch(stem):
        kind, number = m[2].lower(), int(m[1])
        return f"{kind}-{number}", kind, number, _ETIOLOGY[kind]
    if m := _MENDELEY.fullmatch(stem):
        kind, number = m[1].lower(), int(m[2])
        return f"mendeley-{kind}-{number}", f"mendeley-{kind}", number, _ETIOLOGY[kind]
    if m := NORMAL.match(stem):
        series, number = m[1].upper(), int(m[2])
        return f"{series}-{number}", series, number, "normal"
    return f"film-{stem}", "", None, ""


def named(file: str, label: int | None) -> tuple[str, str, int | None, str]:
    """(patient, series, number, etiology) of a film in a cohort, by its path and its label."""
    patient, series, number, etiology = parse_name(Path(file).name)
    if number is None or (label == 1 and etiology == "normal"):
        return f"film-{file}", "", None, "normal" if label == 0 else ""
    return patient, series, number, "normal" if label == 0 else etiology
