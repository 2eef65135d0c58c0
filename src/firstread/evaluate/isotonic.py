"""A calibration of any rising shape, for a clinic with many films.

Isotonic regression takes the rising curve that fits best, whatever its shape (Zadrozny & Elkan,
"Transforming classifier scores into accurate multiclass probability estimates", KDD 2002). As it
stands it is a staircase: it ties films that the network told apart, and says 0 and 1 at its ends.
So here each step becomes one point at its middle, with straight lines between (centred isotonic
regression: Oron & Flournoy, Statistics in Biopharmaceutical Research 9, 2017), and the films go in
by tenths, so that no point rests on a handful of them.
"""

from __future__ import annotations

import numpy as np

from firstread.evaluate.calibration import Floats, to_logit
from firstread.evaluate.metrics import Bools
from firstread.read.bends import Bends

GROUPS = 10

LEAST_RISE = 1e-6
"""Rise of the share of pneumonia below which two steps are one: what rounding makes is no step,
and undoing a line so flat would turn a hair into logits."""


def fit_isotonic(z: Floats, truth: Bools) -> Bends:
    """Points that bend logits `z` (n,) towards the shares of pneumonia seen in `truth` (n,).

    Of each tenth of the films, equal logits together: the mean logit, and the share with half a
    film of either class more, so that none is 0 or 1. Neighbours that do not rise are pooled
    (pool adjacent violators: Ayer et al. 1955). 1 to `GROUPS` points.
    """
    edges = np.unique(np.quantile(z, np.linspace(0.0, 1.0, GROUPS + 1)[1:-1]))
    group = np.searchsorted(edges, z, "right")
    steps: list[tuple[float, float, int]] = []
    for g in np.unique(group):
        here = group == g
        n = int(here.sum())
        steps.append((float(z[here].mean()), (float(truth[here].sum()) + 0.5) / (n + 1.0), n))
        while len(steps) > 1 and steps[-2][1] >= steps[-1][1] - LEAST_RISE:
            (x, p, a), (u, q, b) = steps.pop(-2), steps.pop()
            steps.append(((a * x + b * u) / (a + b), (a * p + b * q) / (a + b), a + b))
    return tuple((x, float(to_logit(p))) for x, p, _ in steps)
