"""Read films in bfloat16 on the CPU, where many copies are read and none is judged.

Two to three times as fast as the graph where the processor multiplies it, more with tiles of its
own (AMX): gate and operating point want copies of many films, which took longer than all epochs of
a frozen VGG19's head.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from firstread.model.net import FilmNet, channels_last
from firstread.train.export import Reading
from firstread.train.gate_graph import BATCH

Films = npt.NDArray[np.uint8]


class Bf16Reader:
    """Logits and what the gate sees of films (n, s, s): those of the graph that `to_onnx` makes of
    the network, but for bfloat16's eight bits."""

    def __init__(self, net: FilmNet, mirror: int) -> None:
        self._reading = Reading(channels_last(net.cpu()), mirror).eval()

    def logits(self, films: Films) -> npt.NDArray[np.float64]:
        """(n,)."""
        return self._read(films, 0).astype(np.float64)

    def seen(self, films: Films) -> npt.NDArray[np.float32]:
        """(n, k)."""
        return self._read(films, 2)

    def _read(self, films: Films, part: int) -> npt.NDArray[np.float32]:
        found = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for start in range(0, len(films), BATCH):
                some = torch.from_numpy(np.array(films[start : start + BATCH]))
                found.append(self._reading(some)[part].float().numpy())
        return np.concatenate(found)
