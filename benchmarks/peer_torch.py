"""A peer: one film after the other through torch, in the manner of torchxrayvision's script.

What its `scripts/process_image.py` does to a film (Cohen et al. 2022, MIDL; Apache-2.0):
scikit-image reads it, the grey values go to -1024 to 1024, the square in the middle is cut out,
scikit-image resizes it to 224 px, and a DenseNet121 (Huang et al. 2017, arXiv:1608.06993) of one
channel and 18 findings reads it in fp32. Written out here, since torchxrayvision needs
torchvision, which cannot be imported beside every CPU build of torch; the weights are random,
which costs the same time.

Runs in an environment of its own (see README.md); prints one JSON line.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()

import numpy as np  # noqa: E402
import skimage.io  # noqa: E402
import skimage.transform  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

SIZE = 224
FINDINGS = 18
GROWTH, BLOCKS = 32, (6, 12, 24, 16)


class Layer(nn.Module):
    """1 x 1 and 3 x 3 convolution, each after normalisation and ReLU; joined to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stack = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, 4 * GROWTH, 1, bias=False),
            nn.BatchNorm2d(4 * GROWTH),
            nn.ReLU(),
            nn.Conv2d(4 * GROWTH, GROWTH, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Channels in, channels and GROWTH more out."""
        return torch.cat([x, self.stack(x)], 1)


def densenet121() -> nn.Module:
    channels = 2 * GROWTH
    layers: list[nn.Module] = [
        nn.Conv2d(1, channels, 7, 2, 3, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    for i, repeats in enumerate(BLOCKS):
        for _ in range(repeats):
            layers.append(Layer(channels))
            channels += GROWTH
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        if i + 1 < len(BLOCKS):
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, FINDINGS), nn.Sigmoid()]
    return nn.Sequential(*layers)


def processed(path: Path) -> Any:
    """A film as (1, SIZE, SIZE) float32."""
    image = skimage.io.imread(path)
    image = (2 * (image.astype(np.float32) / 255) - 1.0) * 1024
    if image.ndim > 2:
        image = image[:, :, 0]
    side = min(image.shape)
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = image[None, top : top + side, left : left + side]
    resized = skimage.transform.resize(
        square, (1, SIZE, SIZE), mode="constant", preserve_range=True
    )
    return resized.astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=Path, required=True, help="CSV: file")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    args = parser.parse_args()
    torch.manual_seed(0)
    model = densenet121().eval()
    with args.films.open(newline="", encoding="utf-8") as f:
        paths = [Path(row["file"]) for row in csv.DictReader(f)]
    with torch.no_grad(), args.out.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        for path in paths:
            found = model(torch.from_numpy(processed(path))[None])[0]
            writer.writerow((path, *found.tolist()))
    wall = round(time.perf_counter() - STARTED, 2)
    json.dump({"films": len(paths), "wall_s": wall}, sys.stdout)


if __name__ == "__main__":
    main()
