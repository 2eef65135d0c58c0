#!/usr/bin/env python3
"""A bundle again, its graph as this version would export it: `firstread.train.slim`.

For bundles of earlier versions whose run is gone. What the card says of the model stays, since
the model reads as before; films of noise and of even grey are read with both before anything is
written.

    python scripts/slim_bundle.py BUNDLE --out NEW
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from firstread.evaluate.graph import Graph
from firstread.read.bundle import Bundle, write_bundle
from firstread.train.slim import slim

TOLERANCE = 1e-4
"""Of a logit or a map's value: sums may be added up in another order."""


def main() -> None:
    """Slim the bundle, hold it against the old one, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    bundle = Bundle.load(args.bundle)
    before = bundle.onnx_path.read_bytes()
    after = slim(before)
    size = bundle.card.preprocess.size
    films = np.random.default_rng(0).integers(0, 256, (8, size, size), dtype=np.uint8)
    films[4:] = np.arange(0, 256, 64, dtype=np.uint8)[:, None, None]
    old, new = Graph(before).both(films), Graph(after).both(films)
    off = max(float(np.abs(a - b).max()) for a, b in zip(old, new, strict=True))
    if not off <= TOLERANCE:
        raise SystemExit(f"the new graph reads otherwise, by {off:g}; nothing was written")
    write_bundle(args.out, after, dict(bundle.card.raw))
    print(f"{bundle.name}: {len(before):,} to {len(after):,} bytes, largest difference {off:g}")


if __name__ == "__main__":
    main()
