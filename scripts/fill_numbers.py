#!/usr/bin/env python3
"""Numbers in the docs come from JSON, and from nowhere else.

A number in a Markdown file stands between two comments that GitHub does not show::

    AUC <!--= docs/results/blocks_seed0.json auc -->0.991 (0.985 to 0.996)<!--/-->

The first names a JSON file (from the root of the repository), a key in it, and if need be a
format. `--write` fills in what stands between; `--check` fails where a text differs from its
JSON, where a file or a key is missing, or where a marker is broken.

Keys are joined by dots. `runs[0]` takes an entry of a list, `runs[size=128]` the one entry
whose field has that value, `thresholds[0.5]` a key that holds a dot. A key with a space is put
in quotes. Formats, any of them together:

    .3      digits after the point (default 3, of a percentage 1)
    %       a share as a percentage
    value   of an estimate {"value", "low", "high"} the value alone
    span    of an estimate its interval alone; of a list its least and greatest entry
    times   "3.4 times"
    min     seconds as minutes
    day     of a date the day
    short   of a text (a hash) the first twelve letters

Without a format an estimate is "value (low to high)", a count has its thousands parted.
Blocks of code are left alone.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

PLACES = ("*.md", "docs/**/*.md", "benchmarks/*.md")
MARKER = re.compile(r"<!--=(?P<what>[^\n]*?)-->(?P<text>[^\n]*?)<!--/-->")
FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"(?P<key>[^.\[\]]+)|\[(?P<pick>[^\]]*)\]")


class NumberError(Exception):
    """A marker that cannot be filled; the text says which and why."""


def documents(root: Path) -> list[Path]:
    """The Markdown files that may hold markers, sorted."""
    return sorted({path for place in PLACES for path in root.glob(place)})


def fill(text: str, root: Path) -> str:
    """`text` with every marker outside of code filled from the JSON files below `root`.

    Raises `NumberError` for a marker that is broken or whose number is not there.
    """
    out, at = [], 0
    for code in FENCE.finditer(text):
        out += [_fill_prose(text[at : code.start()], root), code.group()]
        at = code.end()
    return "".join([*out, _fill_prose(text[at:], root)])


def _fill_prose(text: str, root: Path) -> str:
    if text.count("<!--=") != len(MARKER.findall(text)) or "<!--=" in MARKER.sub("", text):
        raise NumberError("a marker is not closed on its line; end it with <!--/-->")
    return MARKER.sub(lambda m: f"<!--={m['what']}-->{number(m['what'], root)}<!--/-->", text)


def number(what: str, root: Path) -> str:
    """The text for one marker's inside, "FILE KEY FORMAT ...". Raises `NumberError`."""
    words = shlex.split(what)
    if len(words) < 2:
        raise NumberError(f"{what.strip()!r}: needs a JSON file and a key")
    file, key, *formats = words
    path = root / file
    if not path.is_file():
        raise NumberError(f"{file}: no such file; make it with the command beside the number")
    try:
        return show(look_up(json.loads(path.read_text(encoding="utf-8")), key), formats)
    except (LookupError, TypeError, ValueError) as e:
        raise NumberError(f"{file} {key}: {e}") from None


def look_up(data: Any, key: str) -> Any:
    """The value at a dotted key.

    >>> look_up({"runs": [{"size": 64, "auc": 0.9}]}, "runs[size=64].auc")
    0.9
    """
    for step in STEP.finditer(key):
        pick = step["pick"]
        if pick is None:
            data = _entry(data, step["key"])
        elif "=" in pick:
            field, _, wanted = pick.partition("=")
            found = [entry for entry in data if str(entry[field]) == wanted]
            if len(found) != 1:
                raise LookupError(f"{len(found)} entries have {field} {wanted}, not one")
            data = found[0]
        else:
            data = data[int(pick)] if isinstance(data, list) else _entry(data, pick)
    return data


def _entry(data: Any, key: str) -> Any:
    if not isinstance(data, dict) or key not in data:
        raise LookupError(f"there is no {key!r}")
    return data[key]


def show(value: Any, formats: list[str]) -> str:
    """A value as the docs print it.

    >>> show({"value": 0.9941, "low": 0.99, "high": 0.9971}, [])
    '0.994 (0.990 to 0.997)'
    >>> show(3.42, [".1", "times"])
    '3.4 times'
    """
    known = {"%", "value", "span", "times", "min", "day", "short"}
    digits: int | None = None
    for word in formats:
        if re.fullmatch(r"\.\d", word):
            digits = int(word[1])
        elif word not in known:
            raise ValueError(f"format {word!r} is not known")
    if isinstance(value, str):
        cut = 10 if "day" in formats else 12 if "short" in formats else None
        return value[:cut].replace("|", "\\|")  # which would end a table's cell
    if isinstance(value, list):
        if "span" not in formats:
            return ", ".join(show(entry, formats) for entry in value)
        value = {"value": None, "low": min(value), "high": max(value)}
    percent, minutes = "%" in formats, "min" in formats

    def one(x: Any) -> str:
        if x is None:
            return "undefined"
        if isinstance(x, bool):
            return "yes" if x else "no"
        x = x * 100 if percent else x / 60 if minutes else x
        if isinstance(x, int) and digits is None:
            return f"{x:,}"
        places = digits if digits is not None else 1 if percent else 0 if minutes else 3
        return f"{x:,.{places}f}"

    unit = " %" if percent else " min" if minutes else " times" if "times" in formats else ""
    if not isinstance(value, dict):
        return one(value) + unit
    span = f"{one(value['low'])} to {one(value['high'])}"
    if "span" in formats:
        return span + unit
    if "value" in formats or value.get("low") is None:
        return one(value["value"]) + unit
    return f"{one(value['value'])}{unit} ({span})"


def problems(root: Path) -> Iterator[tuple[Path, str]]:
    """(document, what is wrong) for each document that does not say what the JSON says."""
    for path in documents(root):
        text = path.read_text(encoding="utf-8")
        try:
            right = fill(text, root)
        except NumberError as e:
            yield path, str(e)
            continue
        lines = zip(text.splitlines(), right.splitlines(), strict=True)
        for n, (is_, should) in enumerate(lines, start=1):
            if is_ != should:
                yield path, f"line {n} differs from its JSON; run scripts/fill_numbers.py --write"


def main(argv: list[str] | None = None) -> int:
    """Fill or check every document; 0 if all is well, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--write", action="store_true", help="fill the numbers in")
    way.add_argument("--check", action="store_true", help="fail where a number is not the JSON's")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.write:
        for path in documents(args.root):
            text = path.read_text(encoding="utf-8")
            try:
                right = fill(text, args.root)
            except NumberError:
                continue  # told below
            if right != text:
                path.write_text(right, encoding="utf-8")
                print(f"written: {path.relative_to(args.root)}")
    wrong = list(problems(args.root))
    for path, why in wrong:
        print(f"{path.relative_to(args.root)}: {why}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
