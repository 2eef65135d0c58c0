"""The lookup tables of a DICOM film: of its modality, and of its values of interest (VOI).

pydicom's own lookup counts in the type of the pixels or of the entries, so that a table of more
entries than that type can count is read in its wrong place, and takes an entry's type for its
depth. Here the place is counted in whole numbers that hold both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.film.grey import used_range


@dataclass(frozen=True, eq=False)
class Table:
    """`entries` (n,), unsigned, of which the first stands for the value `first` and those below.

    `bits`: the depth that the descriptor tells, 8 to 16; 16 where it tells none of these.
    """

    entries: npt.NDArray[Any]
    first: int
    bits: int

    def __call__(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The entries of `values`, an array of any shape and kind of number."""
        whole = np.issubdtype(values.dtype, np.integer)
        places = (values if whole else np.floor(values)).astype(np.int64)
        places -= self.first
        return self.entries[np.clip(places, 0, len(self.entries) - 1, out=places)]

    def of(self, low: float, high: float) -> Table:
        """The table as it is meant for values from `low` to `high`.

        `first` is negative for some, yet written without a sign, by PixelRepresentation's: then
        the values are negative too, or all lie below it, which no table is made for.
        """
        if self.first > 32767 and (low < 0 or high < self.first):
            return Table(self.entries, self.first - 65536, self.bits)
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """Black and white among the entries.

        By the descriptor's bits, so that a table that stops short of white does; unless they are
        16, which many tell where they use 12.
        """
        if self.bits == 16:
            return used_range(0.0, float(self.entries.max()))
        return 0.0, 2.0**self.bits - 1


def first_table(ds: Any, name: str) -> Table | None:
    """The first whole table of the sequence called `name`; None where there is none."""
    little = ds.original_encoding[1] is not False
    for item in ds.get(name) or ():
        table = _table(item, little)
        if table is not None:
            return table
    return None


def _table(item: Any, little: bool) -> Table | None:
    described, raw = item.get("LUTDescriptor"), item.get("LUTData")
    if raw is None or not isinstance(described, Sequence) or len(described) != 3:
        return None
    n, first, bits = (int(value) for value in described)
    n = n % 65536 or 65536  # 0 says 65,536, and a sign is none (PS3.3 C.11.1.1)
    bits = bits if 8 <= bits <= 16 else 16
    two = "<u2" if little else ">u2"
    if not isinstance(raw, bytes):
        raw = np.atleast_1d(np.asarray(raw)).astype(two).tobytes()
    # Entries of 8 bits stand in bytes of their own, or in two bytes as the others do.
    kind = np.dtype(np.uint8 if bits == 8 and len(raw) < 2 * n else two)
    if len(raw) < n * kind.itemsize:
        return None
    return Table(np.frombuffer(raw, kind, n), first, bits)
