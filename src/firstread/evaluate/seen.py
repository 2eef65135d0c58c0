"""Has the model seen these films? A result on films it learned from is worth nothing.

What can be known is compared: the card's hashes of its data and of its validation films, and of
a training run its split and its validation films.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from firstread.cohort.hashes import are_among, combined_sha256
from firstread.cohort.table import Cohort
from firstread.film.files import as_written
from firstread.plural import count


def seen_warnings(cohort: Cohort, card_data: Mapping[str, Any], run: Path | None) -> list[str]:
    """One sentence for each way in which the films are not new to the model; [] if none is known.

    `card_data`: the card's "data" entry; `run`: the training run's folder, if there is one.
    """
    warnings = []
    hashes = cohort.readable_hashes
    made_from = [card_data.get("sha256"), *card_data.get("earlier_sha256", ())]
    made = any(_is_same_set(cohort, hashes, wanted) for wanted in made_from)
    if made:
        warnings.append(
            "these are the very films that the model was made from (same data hash); its "
            "figures on them are no measure of it"
        )
    if _is_same_set(cohort, hashes, card_data.get("validation_sha256")) and not (
        run is not None and _rows(run / "val.csv")  # then they are counted below
    ):
        warnings.append(
            "these films are, or one part of them is, the validation films of the model (same "
            "data hash): threshold, refer band and calibration were chosen on them, so expect "
            "less on new films"
        )
    if _is_same_set(cohort, hashes, card_data.get("local_sha256")):
        warnings.append(
            "these films are, or one part of them is, those that the local bundle was set on (same "
            "data hash): threshold, refer band and calibration were chosen on them, so expect "
            "less on new films"
        )
    if run is None:
        more = [] if made else _single(cohort, hashes, card_data, told=bool(warnings))
        return warnings + more
    # start.csv: what the runs were trained on that this one went on from.
    split = _rows(run / "split.csv") + _rows(run / "start.csv")
    trained = [r for r in split if r.get("part") == "train"]
    contents = {r.get("sha256") for r in trained} - {None, ""}
    same, of = sum(h in contents for h in hashes), f"of {len(cohort)} films"
    if same:
        warnings.append(_TRAINED.format(same=same, n=len(cohort), whose="run"))
    # The same patient name means the same patient only within one source of films, and where it is
    # of a series known from the public set (a copy at another size has other bytes).
    names = {r.get("patient") for r in trained} if same else set()
    in_series = {(r.get("series"), r.get("patient")) for r in trained if r.get("series")}
    patients = [(row.series, as_written(row.patient)) for row in cohort.rows]
    kin = sum(p in in_series or p[1] in names for p in patients)
    if kin > same:
        are = count(kin, f"{of} is of a patient", f"{of} are of patients")
        unsure = ", if names as the public set's mean its patients" if not same else ""
        warnings.append(f"{are} the run trained on{unsure}")
    chosen = set(own_names(r.get("file", "") for r in _rows(run / "val.csv"))) - {""}
    chosen |= {r.get("sha256") or "" for r in split if r.get("part") == "val"} - {""}
    names_here = own_names(as_written(r.file) for r in cohort.rows)
    used = sum(not chosen.isdisjoint(told) for told in zip(hashes, names_here, strict=True))
    if used:
        warnings.append(
            count(used, f"{of} is a validation film", f"{of} are validation films")
            + " of the run: threshold, refer band, calibration and stopping were "
            "chosen on them, so expect less on new films"
        )
    return warnings


def _single(
    cohort: Cohort, hashes: Sequence[str], card_data: Mapping[str, Any], told: bool
) -> list[str]:
    """What a card without its run tells of single films; names, only where it has not `told`."""
    n = len(cohort)
    trained = card_data.get("trained_on")
    if isinstance(trained, str):
        same = sum(are_among(hashes, trained))
        return [_TRAINED.format(same=same, n=n, whose="model")] if same else []
    # By its folder: a part may be called `test` and be of the folder of training.
    named = sum(r.number is not None and "test" not in Path(r.file).parts for r in cohort.rows)
    if told or not named or not card_data.get("films"):
        return []
    return [
        f"{named} of {n} films are named as those of the public set are: unless they are of its "
        "test folder, this model may have been trained on them, which its card cannot tell"
    ]


_TRAINED = (
    "{same} of {n} films are among the {whose}'s training films; its figures on them are no "
    "measure of it"
)


def _is_same_set(cohort: Cohort, hashes: Sequence[str], wanted: object) -> bool:
    """Whether these films, or those of one part, are the `wanted` set: all of them that can be
    read, counted as often as they are there or once each."""
    if not wanted:
        return False
    parts: list[str | None] = [None, *{r.part for r in cohort.rows}]
    for part in parts:
        there = [
            h for h, r in zip(hashes, cohort.rows, strict=True) if h and part in (None, r.part)
        ]
        if wanted in (combined_sha256(there), combined_sha256(set(there))):
            return True
    return False


def own_names(files: Iterable[str]) -> list[str]:
    """Class folder and name of each film: what stays of a path wherever the films are copied.

    "" where more of them are called so, as in exports with a folder a study: such a name tells no
    film from another.
    """
    names = ["/".join(Path(file).parts[-2:]) for file in files]
    bearers = Counter(names)
    return [name if bearers[name] == 1 else "" for name in names]


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as f:
            return list(csv.DictReader(f))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
