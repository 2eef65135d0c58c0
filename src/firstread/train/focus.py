"""Evidence belongs in the lungs: a penalty on what the network's own map shows elsewhere.

The map (HiResCAM) is exactly what the head adds up, place by place, so that the share of it
that lies outside of the lungs can be part of the loss. In the manner of Ross et al. 2017
(arXiv:1703.03717), which penalises gradients where no evidence should be. The lungs are those that
the package's lung net finds, so that no drawn masks are needed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional as F

from firstread.progress import Progress

GRID = 56
"""Side of the masks that are kept: finer than any map, small enough to hold them all."""

LEAST = 0.1
"""Share of a film that must be lung for its map to be judged: strong crops may show none."""


def find_lungs(
    films: npt.NDArray[np.uint8], progress: Progress | None = None
) -> npt.NDArray[np.uint8]:
    """The lungs of films (n, s, s) as masks (n, GRID, GRID), 0 or 1.

    Where the lung net's mask is not to be believed, the whole film counts as lung: the
    penalty is then nothing. `progress` is called with (done, all).
    """
    from PIL import Image

    from firstread.film.lungs import doubt, lung_mask

    found = np.ones((len(films), GRID, GRID), np.uint8)
    for i, film in enumerate(films):
        mask = lung_mask(np.asarray(film))
        if doubt(mask) is None:
            small = Image.fromarray(mask.astype(np.uint8) * 255).resize(
                (GRID, GRID), Image.Resampling.BOX
            )
            found[i] = np.asarray(small) > 0  # a cell that holds any lung is lung
        if progress is not None:
            progress(i + 1, len(films))
    return found


def evidence_outside(evidence: Tensor, lungs: Tensor) -> Tensor:
    """Share of the evidence, for or against, that lies outside of the lungs; a scalar.

    `evidence` (n, h, w), signed; `lungs` (n, 1, g, g) in [0, 1]. A mean over the films that
    show enough lung.
    """
    inside = F.adaptive_avg_pool2d(
        lungs.to(evidence), (evidence.shape[1], evidence.shape[2])
    ).squeeze(1)
    size = evidence.abs()
    share = (size * (1 - inside)).sum(dim=(1, 2)) / (size.sum(dim=(1, 2)) + 1e-6)
    seen = (inside.mean(dim=(1, 2)) >= LEAST).to(share)
    return (share * seen).sum() / seen.sum().clamp(min=1.0)
