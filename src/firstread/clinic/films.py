"""A clinic's films as numbers: what the model said of them, and what they look like.

`Watch` is called with what is seen of each film and keeps a few numbers of it; so the films are
read once, and 10,000 of them fit in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from firstread.cohort.table import Cohort, FilmRow
from firstread.evaluate.calibration import Floats
from firstread.evaluate.kept import Kept, Seen
from firstread.evaluate.metrics import Bools
from firstread.evaluate.shortcuts import headers_of
from firstread.progress import Progress
from firstread.read.gate import out_of_age, unknown_age
from firstread.read.opinion import REFER, REJECTED, band_reason

if TYPE_CHECKING:
    from firstread.evaluate.score import Scored
    from firstread.read.bundle import Bundle
    from firstread.read.card import Card


@dataclass(frozen=True)
class AgedFilm:
    """A film of a table with the age that stands there, as `firstread read --age` would have it."""

    row: FilmRow

    @property
    def name(self) -> str:
        """What the opinion calls the film."""
        return self.row.name

    @property
    def path(self) -> Path:
        """Its file."""
        return self.row.path

    @property
    def true_size(self) -> tuple[int, int] | None:
        """Its size in pixels before it was stored at another, if told."""
        return self.row.true_size

    @property
    def age(self) -> float | None:
        """The patient's age in years, if told."""
        return self.row.told_age

    def read_bytes(self) -> bytes:
        """The bytes of the file."""
        return self.row.read_bytes()


def age_warning(cohort: Cohort, card: Card) -> list[str]:
    """What to say where patients are of ages that the model is not for; [] where none is told."""
    rows = cohort.rows
    out = {r.patient for r in rows if out_of_age(r.told_age, card.ages)}
    if not out or card.ages is None:
        return []
    (low, high), all_of = card.ages, len(set(cohort.patients))
    return [
        f"{len(out)} of {all_of} patients are outside of the ages that the model is for, {low:g} "
        f"to {high:g} years: whatever is set here, they are referred in routine where the film or "
        "`--age` tells their age"
    ]


@dataclass
class Watch:
    """Collects numbers of opinions, in the order in which they come.

    `rows`: one a film: raw logit, mean grey, contrast (standard deviation of the greys), black
    share, aspect; NaN where the film has none. `aside`: referred for another reason than the
    band. `rejected`: no opinion.
    """

    card: Card
    rows: list[tuple[float, float, float, float, float]] = field(default_factory=list)
    aside: list[bool] = field(default_factory=list)
    rejected: list[bool] = field(default_factory=list)

    def __call__(self, opinion: Seen) -> None:
        """Keep the numbers of one film."""
        none = float("nan")
        logit = none if opinion.logit is None else float(opinion.logit)
        aspect = none if opinion.aspect is None else float(opinion.aspect)
        self.rows.append((logit, opinion.grey, opinion.contrast, opinion.black, aspect))
        p = opinion.probability
        # What the shipped band says a local one says anew, and an unknown age refers nobody.
        ours = {None if p is None else band_reason(p, self.card), unknown_age(self.card.ages)}
        self.aside.append(opinion.decision == REFER and bool(set(opinion.reasons) - ours))
        self.rejected.append(opinion.decision == REJECTED or p is None)


@dataclass(frozen=True)
class Look:
    """n films as numbers. `logit` (n,): the network's, uncalibrated, NaN where not read.

    `aside`, `rejected` (n,): referred whatever the band, and not read. `numbers`: name to (n,),
    for the drift: "logit", "grey", "contrast", "black", "aspect", "area", "bytes".
    """

    logit: Floats
    aside: Bools
    rejected: Bools
    numbers: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.logit)

    def some(self, keep: npt.NDArray[np.int64]) -> Look:
        """The films at `keep` (m,)."""
        numbers = {name: values[keep] for name, values in self.numbers.items()}
        return Look(self.logit[keep], self.aside[keep], self.rejected[keep], numbers)


def one_a_patient(patients: Sequence[str], first: bool = False) -> npt.NDArray[np.int64]:
    """Where a film of each patient stands, in order; the same ones each time. Films of one patient
    are alike, and what counts films as if each told as much as another patient's is sure too soon.

    Drawn, and not the first: normal films stand before those with pneumonia, and of patients who
    have both, as a course of the illness gives, none of these would be left. `first`: as
    baselines from before have it.
    """
    if first:
        return np.sort(np.unique(np.array(patients), return_index=True)[1])
    order = np.random.default_rng(0).permutation(len(patients))
    _, drawn = np.unique(np.array(patients)[order], return_index=True)
    return np.sort(order[drawn])


def looked(headers: Floats, watch: Watch) -> Look:
    """What `watch` saw of the films, and what their files tell without a pixel: `headers` (n, 4),
    of `headers_of`. The size is that of the files, not of originals that a table may tell of."""
    table = np.array(watch.rows, dtype=np.float64).reshape(-1, 5)
    rejected = np.array(watch.rejected, bool)
    logit = np.where(rejected, np.nan, table[:, 0])
    seen = dict(zip(("grey", "contrast", "black", "aspect"), table[:, 1:].T, strict=True))
    files = {"area": headers[:, 0] * headers[:, 1], "bytes": headers[:, 2]}
    return Look(logit, np.array(watch.aside, bool), rejected, {"logit": logit, **seen, **files})


def look_at(
    bundle: Bundle,
    cohort: Cohort,
    progress: Progress | None = None,
    after: Progress | None = None,
    kept: Kept | None = None,
) -> Look:
    """Read the films of `cohort`, whose labels may be unknown, with a loaded bundle.

    `progress` is called with (done, all), and `after` where the files are then read once more for
    their headers. `kept`: goes on from what a killed reading has left. No film is too bad: see
    `Reader.read`.
    """
    from firstread.read.engine import JUDGED_BY
    from firstread.read.reader import Reader

    watch = Watch(bundle.card)
    reader, aged = Reader(bundle, engine=JUDGED_BY), [AgedFilm(row) for row in cohort.rows]
    for done, opinion in enumerate((kept or Kept()).read(reader, aged), 1):
        watch(opinion)
        if progress is not None:
            progress(done, len(cohort))
    return looked(headers_of(cohort, after), watch)


def score_and_look(
    bundle: Bundle,
    cohort: Cohort,
    progress: Progress | None = None,
    after: Progress | None = None,
    kept: Kept | None = None,
) -> tuple[Scored, Look]:
    """The opinions on a labelled cohort, as `score_cohort` gives them, and the films as numbers."""
    from firstread.evaluate.score import score_cohort

    watch = Watch(bundle.card)
    aged = [AgedFilm(row) for row in cohort.rows]
    scored = score_cohort(bundle.path, cohort, (), progress, after, watch, aged, kept)
    return scored, looked(scored.headers, watch)
