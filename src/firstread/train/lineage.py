"""Recipes as files: which one a name means, what each base below it adds, and whether it can begin
by itself.

A second step, and whatever descends from one, goes on from a finished run. Without that run it
would train as well, a few epochs from ImageNet at a rate for settling, and nobody would be told.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from firstread.errors import RecipeError

SHIPPED = Path(__file__).parent / "recipes"

SECOND_STEPS = {"settle": "default", "vgg19-last-block": "vgg19"}
"""Shipped recipes that go on from a run, each with the recipe of that run."""


def lineage(name: str) -> list[tuple[str, Path, dict[str, Any]]]:
    """A recipe and its bases, each with its name, its file and its own plain values.

    Raises `RecipeError` where one is not there, is no TOML or JSON, or is its own base.
    """
    found: list[tuple[str, Path, dict[str, Any]]] = []
    base: Any = name
    while base is not None:
        name = str(base)
        path = _file_of(name)
        if any(path.samefile(below) for _, below, _ in found):  # by whatever way it is named
            raise RecipeError(f"recipe {name}: is its own base; name another as base")
        values = _values_in(path)
        found.append((name, path, values))
        base = values.pop("base", None)
        if base is not None:
            base = _beside(path, str(base))
    return found


def goes_on_from(name: str) -> str | None:
    """What a recipe goes on from, in words, where it is a second step or descends from one; None
    where it can begin by itself. Raises `RecipeError`."""
    for _, path, _ in lineage(name):
        if path.parent.resolve() == SHIPPED.resolve() and (first := SECOND_STEPS.get(path.stem)):
            return f"a run of the recipe {first}"
        if path.name == "recipe.json" and (start := _start_beside(path)):
            return f"the run {start}"
    return None


def _start_beside(recipe: Path) -> str | None:
    """The name of the run that the run of a recipe.json went on from, if there was one."""
    try:
        state = json.loads((recipe.parent / "run.json").read_text(encoding="utf-8"))
        return str(state["start"]["name"])
    except (OSError, ValueError, TypeError, KeyError):  # none, or no record of a run
        return None


def _file_of(name: str) -> Path:
    path = Path(name)
    if path.suffix not in (".toml", ".json"):
        path = SHIPPED / f"{name}.toml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.toml")))
            raise RecipeError(f"no recipe {name!r}; use {known}, or the path of a .toml file")
    elif not path.is_file():
        raise RecipeError(f"{path}: no such recipe file")
    return path


def _values_in(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # Notepad begins a file with a mark
        return dict(json.loads(text)) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, TypeError) as e:  # of either kind, and of bytes that are no text
        raise RecipeError(f"{path}: not valid {path.suffix[1:].upper()} ({e})") from None


def _beside(recipe: Path, other: str) -> str:
    """A recipe's base: the file beside it, else as seen from the current folder."""
    near = recipe.parent / other
    return str(near) if near.suffix == ".toml" and near.is_file() else other
