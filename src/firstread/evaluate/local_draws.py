"""Draws of local films to recalibrate on, and who of the films evaluated is left to judge it.

Nobody is on both sides: not a patient, and not a film that lies in two tables of two folders.
Who is who is told by texts, and a study draws hundreds of times; so they are compared once, and
a draw looks at numbers alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstread.cohort.table import Cohort
from firstread.errors import DataError
from firstread.evaluate.calibration import Floats, to_logit
from firstread.evaluate.metrics import LOSS_FLOOR, Bools
from firstread.evaluate.score import Scored
from firstread.evaluate.seen import own_names

LEAST_JUDGED = 30
"""Fewest films that a draw may be judged on."""

TRIES = 100

Numbers = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Films:
    """The films of a scored cohort that have a probability; `z` (n,): its logit; `names` (n,): ""
    where a film has none of its own."""

    z: Floats
    truth: Bools
    patients: Texts
    names: Texts

    @classmethod
    def of(cls, scored: Scored) -> Films:
        """Those that were not rejected."""
        keep = ~scored.rejected
        p = np.clip(scored.probabilities[keep], LOSS_FLOOR, 1.0 - LOSS_FLOOR)
        patients, names = np.array(scored.patients)[keep], np.array(own_names(scored.files))[keep]
        return cls(to_logit(p), scored.truth[keep], patients, names)

    @classmethod
    def unread(cls, cohort: Cohort) -> Films:
        """All, before any is read; every logit 0."""
        names = np.array(own_names(r.file for r in cohort.rows))
        return cls(np.zeros(len(names)), cohort.labels == 1, np.array(cohort.patients), names)

    def __len__(self) -> int:
        return len(self.z)


class Draws:
    """Draws of `films` films of `pool`, each judged on those of `judged` who are not in it.

    Raises `DataError` where the pool holds too few.
    """

    def __init__(self, pool: Films, judged: Films, films: int):
        self.pool, self.judged, self.films = pool, judged, films
        self._need = (
            f"it takes {films} to draw and {LEAST_JUDGED} of other patients, each of both classes"
        )
        if len(pool) < films:
            raise DataError(f"{len(pool)} local films are too few to recalibrate on; {self._need}")
        self._patients, self._judged_patients = _numbered(pool.patients, judged.patients)
        self._names, self._judged_names = _numbered(pool.names, judged.names)
        self._judged_names[judged.names == ""] = -1

    def draw(self, rng: np.random.Generator) -> tuple[Numbers, Bools]:
        """Indices of the drawn films in the pool, and which of those judged (n,) are of nobody in
        the draw.

        Whole patients in random order until there are enough; what the last one has beyond that
        is in neither part. A draw or a rest of one class only is drawn again. Raises `DataError`
        where none will do.
        """
        pool, judged = self.pool, self.judged
        n_patients = int(self._patients.max()) + 1
        for _ in range(TRIES):
            rank = np.empty(n_patients, np.int64)
            rank[rng.permutation(n_patients)] = np.arange(n_patients)
            drawn = np.argsort(rank[self._patients], kind="stable")[: self.films]
            rest = ~(
                _among(self._judged_patients, self._patients, drawn)
                | _among(self._judged_names, self._names, drawn)
            )
            if int(rest.sum()) < LEAST_JUDGED:
                continue
            if _mixed(pool.truth[drawn]) and _mixed(judged.truth[rest]):
                return drawn, rest
        raise DataError(
            f"of {len(judged)} films too few, or of one class only, are left to judge on after "
            f"{self.films} of {len(pool)} local films are drawn; {self._need}"
        )


def _numbered(pool: Texts, judged: Texts) -> tuple[Numbers, Numbers]:
    """The texts of both as numbers, alike where the texts are; -1 of those that only `judged` has.

    Those of the pool are 0, 1, ... in the order of its texts.
    """
    known, numbers = np.unique(pool, return_inverse=True)
    at = np.minimum(np.searchsorted(known, judged), len(known) - 1)
    return numbers, np.where(known[at] == judged, at, -1)


def _among(judged: Numbers, pool: Numbers, drawn: Numbers) -> Bools:
    """Which of `judged` (n,) bear a number of the `drawn` films of the pool; -1 is none."""
    taken = np.zeros(int(pool.max()) + 2, bool)  # the last is what -1 looks at
    taken[pool[drawn]] = True
    return taken[judged]


def _mixed(truth: Bools) -> bool:
    return bool(truth.any() and not truth.all())
