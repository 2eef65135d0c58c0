"""A bundle's opinions on a labelled cohort, as arrays that every measure starts from.

The rule is one for all measures: a film is called pneumonia if its probability is at or above
the threshold, films in the refer band too. A rejected film is an error: it counts as the worst
possible answer, probability 0 for a film with pneumonia and 1 for one without (even if the
reader named a probability), so that it gains nothing by refusing what it finds hard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firstread.cohort.hashes import combined_sha256
from firstread.cohort.headers import spelt
from firstread.cohort.table import Cohort
from firstread.errors import DataError
from firstread.evaluate.calibration import Floats
from firstread.evaluate.kept import Kept, Seen
from firstread.evaluate.places import portable
from firstread.evaluate.shortcuts import (
    SHARPNESS,
    headers_of,
    shortcut_numbers,
)
from firstread.film.files import utf8
from firstread.plural import count
from firstread.progress import Progress

if TYPE_CHECKING:
    from firstread.read.bundle import Bundle
    from firstread.read.judged import Source

WORST_FILMS = 24
"""Most films that are shown with their pixels in a report."""


@dataclass(frozen=True)
class ReportFilm:
    """A film as the report shows it. `label`: 1 pneumonia, 0 normal.

    `probability`: None if rejected. `pixels`: uint8 (S, S) as the model saw it; `heat`:
    float32 (h, w), signed evidence for pneumonia; None where there is none.
    """

    file: str
    label: int
    probability: float | None
    decision: str
    reasons: tuple[str, ...] = ()
    pixels: npt.NDArray[np.uint8] | None = None
    heat: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Scored:
    """Opinions on n labelled films, in the cohort's order.

    `labels` (n,) int8, 1 pneumonia and 0 normal; `probabilities` (n,), NaN where rejected;
    `patients`, `decisions`, `reasons`, `files`: one a film. `threshold` and `refer` (low,
    high), both ends in the band: calibrated probabilities. `thresholds`: the card's table,
    name to {"value", "how"}. `groups`: columns to report within, name to one text a film.
    `headers`: of `headers_of`. `numbers`: what they and a table tell without a look at the lungs,
    name to (values (n,), note).
    `bundle`, `data`: what is said about them in the JSON.
    """

    files: tuple[str, ...]
    labels: npt.NDArray[np.int8]
    patients: tuple[str, ...]
    probabilities: Floats
    decisions: tuple[str, ...]
    reasons: tuple[tuple[str, ...], ...]
    threshold: float
    refer: tuple[float, float]
    thresholds: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    headers: Floats = field(default_factory=lambda: np.empty((0, 4)))
    numbers: dict[str, tuple[Floats, str]] = field(default_factory=dict)
    bundle: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    @property
    def truth(self) -> npt.NDArray[np.bool_]:
        """(n,) bool: pneumonia."""
        return self.labels.astype(bool)

    @property
    def rejected(self) -> npt.NDArray[np.bool_]:
        """(n,) bool: unreadable (no probability) or plainly no film."""
        no = np.array([d == "rejected" for d in self.decisions], bool)
        return no | np.isnan(self.probabilities)

    @property
    def referred(self) -> npt.NDArray[np.bool_]:
        """(n,) bool: decision "refer"."""
        return np.array([d == "refer" for d in self.decisions], bool)

    @property
    def in_band(self) -> npt.NDArray[np.bool_]:
        """(n,) bool: between the bounds of the refer band, whatever else refers the film."""
        low, high = self.refer
        return (self.probabilities >= low) & (self.probabilities <= high) & ~self.rejected

    @property
    def scores(self) -> Floats:
        """(n,) probabilities, the worst possible answer where a film was rejected."""
        worst = np.where(self.truth, 0.0, 1.0)
        return np.where(self.rejected, worst, self.probabilities)

    def calls(self, threshold: float) -> npt.NDArray[np.bool_]:
        """(n,) bool: called pneumonia at `threshold`; a rejected film is called wrongly."""
        return np.where(self.rejected, ~self.truth, self.scores >= threshold)


def score_cohort(
    bundle_path: Path | None,
    cohort: Cohort,
    by: Iterable[str] = (),
    progress: Progress | None = None,
    after: Progress | None = None,
    watch: Callable[[Seen], None] | None = None,
    films: Sequence[Source] | None = None,
    kept: Kept | None = None,
) -> Scored:
    """Read every film of a labelled cohort.

    `bundle_path`: a bundle folder, None for the one shipped. `by`: columns to report within
    ("etiology", "series", "part" or a column of the CSV). `progress` is called with (done,
    all), and `after` where the files are then read once more for their headers and hashes; `watch`
    with what is seen of each film. `films`: what is read in place of the rows, one for each.
    `kept`: goes on from what a killed reading has left. Raises `BundleError`, what
    `kept` does, or `DataError` where a film has no label or a column does not exist.
    """
    from firstread.read.bundle import Bundle

    labels = cohort.labels
    if (labels < 0).any():
        bare = count(int((labels < 0).sum()), "film has", "films have")
        raise DataError(f"{bare} no label; it takes one to be scored")
    groups = {name: _column(cohort, name) for name in _columns(cohort, by)}
    bundle = Bundle.load(bundle_path)
    card = bundle.card
    opinions = _read(bundle, films or cohort.rows, kept or Kept(), watch, progress)
    p = [np.nan if o.probability is None else o.probability for o in opinions]
    sharpness = [o.sharpness for o in opinions]
    headers = headers_of(cohort, after)
    return Scored(
        files=tuple(r.file for r in cohort.rows),
        labels=labels,
        patients=tuple(cohort.patients),
        probabilities=np.array(p, dtype=np.float64),
        decisions=tuple(o.decision for o in opinions),
        reasons=tuple(
            tuple(reason.replace(str(r.path), r.file) for reason in o.reasons)
            for o, r in zip(opinions, cohort.rows, strict=True)
        ),
        threshold=card.threshold,
        refer=(card.refer.low, card.refer.high),
        thresholds={k: {"value": t.value, "how": t.how} for k, t in card.thresholds.items()},
        groups=groups,
        headers=headers,
        numbers=shortcut_numbers(cohort, headers)
        | {"sharpness": (np.array(sharpness, dtype=np.float64), SHARPNESS)},
        bundle=_told_of(bundle),
        data={
            "source": portable(cohort.root),
            "films": len(cohort),
            "patients": len(set(cohort.patients)),
            "sha256": _data_hash(cohort),
        },
        notices=card.notices,
    )


def _read(
    bundle: Bundle,
    films: Sequence[Source],
    kept: Kept,
    watch: Callable[[Seen], None] | None,
    progress: Progress | None,
) -> list[Seen]:
    """What is seen of each film; arguments as for `score_cohort`."""
    from firstread.read.engine import JUDGED_BY
    from firstread.read.reader import Reader

    opinions: list[Seen] = []
    for opinion in kept.read(Reader(bundle, engine=JUDGED_BY), films):
        if watch is not None:
            watch(opinion)
        opinions.append(opinion)
        if progress is not None:
            progress(len(opinions), len(films))
    return opinions


def _told_of(bundle: Bundle) -> dict[str, Any]:
    """What a result tells of the bundle that it judges."""
    card = bundle.card
    return {
        "name": card.name,
        "arch": card.arch,
        "created": card.created,
        "version": card.version,
        "size": card.preprocess.size,
        "path": portable(bundle.path),
        "sha256": bundle.sha256,
        "onnx_sha256": card.onnx_sha256,
        "ages": None if card.ages is None else list(card.ages),
        "data": card.raw.get("data", {}),
        "calibration": card.raw.get("calibration", {}),
    }


def _data_hash(cohort: Cohort) -> str:
    """The cohort's hash; a film that cannot be opened counts by its name."""
    hashes = cohort.readable_hashes
    if all(hashes):
        return combined_sha256(hashes)
    names = "\n".join(sorted(r.file for r in cohort.rows))
    return "names:" + hashlib.sha256(utf8(names)).hexdigest()


def _columns(cohort: Cohort, by: Iterable[str]) -> list[str]:
    """The columns asked for, and the etiology where it is known of some film."""
    known = {"bacterial", "viral"} & set(_column(cohort, "etiology"))
    return list(dict.fromkeys([*(["etiology"] if known else []), *by]))


def _column(cohort: Cohort, name: str) -> tuple[str, ...]:
    if name in {"etiology", "series", "part"}:  # a table's own column comes before a file's name
        return tuple(r.extra.get(name) or str(getattr(r, name)) for r in cohort.rows)
    there = {k for r in cohort.rows for k in r.extra}
    told = spelt(name, there)  # the table's own spelling, by which the user knows it
    if told not in there:
        known = ", ".join(sorted(there | {"etiology", "series", "part"}))
        raise DataError(f"no column {name!r} to report by; there are {known}")
    return tuple(r.extra.get(told, "") for r in cohort.rows)


def worst_order(scored: Scored) -> list[int]:
    """The films called wrongly, the surest mistake first; rejected films are not among them."""
    belief = np.where(scored.truth, scored.scores, 1.0 - scored.scores)
    wrong = (scored.calls(scored.threshold) != scored.truth) & ~scored.rejected
    return [int(i) for i in np.argsort(belief, kind="stable") if wrong[i]]


def worst_films(scored: Scored, cohort: Cohort, bundle_path: Path | None) -> list[ReportFilm]:
    """The worst films, at most `WORST_FILMS`, read again with pixels and map, for the report."""
    from firstread.read.engine import JUDGED_BY
    from firstread.read.reader import Reader

    reader = Reader(bundle_path, engine=JUDGED_BY)
    films = []
    for i in worst_order(scored)[:WORST_FILMS]:
        opinion = reader.read(cohort.rows[i], heat=True)
        films.append(
            ReportFilm(
                scored.files[i],
                int(scored.labels[i]),
                float(scored.probabilities[i]),
                scored.decisions[i],
                scored.reasons[i],
                opinion.pixels,
                opinion.heat,
            )
        )
    return films
