#!/usr/bin/env python3
"""Draw docs/trials.md: every trial of a recipe, the failures too, from docs/results/trials/*.json.

The numbers stand between the markers of scripts/fill_numbers.py, which fills them in; what a
trial was for is the comment at the top of its recipe.
"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SMALL, FULL = Path("docs/results/trials"), Path("docs/results/candidates")
COLUMNS = (
    ("AUC", "auc", ".4"),
    ("balanced error", "balanced_error", ".3"),
    ("corrupted", "corrupted", ".3"),
    ("of that: noise", "groups.noise", ".3"),
    ("specificity at sensitivity 98 %", "specificity_at_98", ".3"),
    ("box over the lungs, AUC", "boxed", ".2"),
    ("heat in the lungs, lift", "lift", ".2"),
    ("other hospital, AUC", "hospital.mean", ".2"),
    ("minutes", "minutes", ".0"),
)
HEAD = """# Trials

What was tried, and what it brought on films unlike those of training. Drawn by
`scripts/trial_table.py` from `docs/results/trials/`, whose files `scripts/trials.py` wrote; how a
trial is trained, measured and chosen by is the [protocol](protocol.md). One half of the split by
series, one seed, no interval: these trials tell large differences only. None of it is a result of
the model that ships.

"""


BETWEEN = """
## At full size

What came through, trained at full size on the blocks split and looked at on the held-out blocks:
films like those of training, but for their day.

"""


LEFT_OUT = {
    "digital": "full-6",
    "noise": "full-6",
    "blur": "lofo-blur",
    "brightness": "lofo-brightness",
    "contrast": "lofo-contrast",
    "gamma": "lofo-gamma",
}
"""Families of corruptions, each with a trial that never met it in training."""

UNMET = """
## Families left out

Mean balanced error, on the series that was not trained on, under corruptions of a family that the
network never met in training, beside that of the first step of version 6 as it is
(`full-6`). Each row is a training of its own, but for the families that `full-6` meets nowhere.

| family | trained as | never met | met |
|---|---|---|---|
"""


def unmet() -> str:
    """The table of families left out, of those whose trials are there."""
    lines = []
    for family, name in LEFT_OUT.items():
        if not (ROOT / SMALL / f"{name}.json").is_file():
            continue
        marker = f"<!--= {SMALL}/{{}}.json groups.{family} .3 --><!--/-->"
        met = "" if name == "full-6" else marker.format("full-6")
        lines.append(f"| {family} | `{name}` | {marker.format(name)} | {met} |")
    return UNMET + "\n".join(lines) + "\n"


def purpose(name: str) -> str:
    """The first comment of a trial's recipe; the default's own is no purpose."""
    for folder in ("trials", "full", "."):
        path = ROOT / "studies" / folder / f"{name}.toml"
        if path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            return " ".join(x.removeprefix("#").strip() for x in lines if x.startswith("#"))
    return {
        "default-5-seed1": "`default-5`, seed 1.",
        "settle-5-seed1": "`settle-5`, seed 1: what `settle-hide` is held against.",
        "full-cleaned": "`full-6`, without the films whose labels other networks doubt.",
        "full-warm": "`full-6`, its weights warmed up on the same films without their labels.",
        "full-kinds": "`full-6`, viral told from bacterial in training, which makes three classes: "
        "the code of commit ada9120, gone since. Its minutes hold a halt of nearly two hours.",
        "full-cutmix": "`full-6`, a box of another film in half of the films, their labels mixed "
        "by its area: the same code, the same halt.",
        "full-robust": "`full-6` with the generalised cross-entropy, in case labels are wrong: the "
        "code of commit ada9120, gone since.",
        "full-places": "`full-no-noise`, films smoothed by place, as far as each part of them "
        "needs it: the code of commit fce98c3, gone since.",
        "twin-5": "`default-5` and `settle-5` on this split: the twin of versions 4 and 5.",
        "twin-grain": "`full-grain-low`, and then `settle-grain`.",
        "twin-grain-no-swap": "The same, its second step without other films' surroundings.",
        "twin-grain-no-noise": "`full-no-noise`, and then `settle-grain` without noise.",
        "twin-6": "`full-6`, and then `settle-6`: the twin of version 6.",
        "twin-6-hide": "`full-no-noise`, and then `settle-6-hide`, read at 192 px and mirrored.",
        "twin-6-jpeg": "`full-no-noise`, and then `settle-6-jpeg`, read at 192 px and mirrored.",
        "twin-6-focus": "`full-6`, and then `settle-6-focus`.",
        "twin-6-noise": "The same with weak noise in the second step.",
        "twin-7": "`full-7`, and then `settle-7`: the twin of version 7.",
        "twin-9": "`full-7`, and then `settle-9`: the twin of version 9.",
        "twin-9-anew": "The same, both steps trained once more: what `twin-10` is held against.",
        "twin-10": "`full-7` once more, and then `settle-10`: the twin of what ships, by which "
        "thresholds are chosen.",
        "twin-8": "`full-7`, and then `settle-8`.",
        "twin-7-plain": "`full-7`, and then `settle-6`.",
        "settle-7-plain": "`settle-6` from the end of `default-7`: `settle-7`, films evened as in "
        "training.",
        "twin-7-slow": "`full-7`, and then `settle-7-slow`.",
        "twin-7-slow-focus": "`full-7`, and then `settle-7-slow-focus`.",
        "twin-sharpness": "`full-sharpness`, and then `settle-7`.",
        "twin-sharpness-swap": "`full-sharpness`, and then `settle-7-swap`.",
        "twin-sharpness-hide": "`full-sharpness`, and then `settle-7-hide`.",
        "settle-sharpness": "`settle-7` from the end of `sharpness`.",
        "twin-standardise": "`full-standardise`, and then `settle-5` with each film standardised.",
    }[name]


def row(path: Path, folder: Path) -> str:
    """One trial as a row of the table, its numbers still to be filled in."""
    cells = [f"`{path.stem}`", purpose(path.stem)]
    cells += [f"<!--= {folder / path.name} {key} {how} --><!--/-->" for _, key, how in COLUMNS]
    return "| " + " | ".join(cells) + " |"


def order(path: Path) -> float:
    """Trials by their mean of clean and corrupted balanced error, best first."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return float(found["balanced_error"] + found["corrupted"])


def table(folder: Path) -> str:
    """All trials of a folder, best first."""
    names = ["trial", "what for", *(title for title, _, _ in COLUMNS)]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += [row(path, folder) for path in sorted((ROOT / folder).glob("*.json"), key=order)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table; run scripts/fill_numbers.py --write after it."""
    text = HEAD + table(SMALL) + unmet() + BETWEEN + table(FULL)
    (ROOT / "docs" / "trials.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
