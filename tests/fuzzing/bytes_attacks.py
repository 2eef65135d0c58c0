"""Ways to spoil any file, whatever it holds: bits, runs, lengths, ends and splices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

Rng = np.random.Generator
Attack = Callable[[Rng, bytes], bytes]
T = TypeVar("T")

ODD = (0, 1, 2, 7, 8, 9, 16, 32, 64, 127, 128, 255, 256, 4096, 8000, 8001, 32767, 32768, 65535,
       65536, 10**6, 2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)  # fmt: skip
"""Numbers that break counters, signs and products of sizes."""


def one(rng: Rng, of: Sequence[T]) -> T:
    """One of `of`, which NumPy's own choice would turn into an array."""
    return of[int(rng.integers(len(of)))]


def put(data: bytes, at: int, what: bytes) -> bytes:
    """`data` with `what` written over it from `at` on, no longer than before."""
    return data[:at] + what[: max(0, len(data) - at)] + data[at + len(what) :]


def number(rng: Rng, width: int) -> bytes:
    """An odd number in `width` bytes, of either order."""
    value = one(rng, ODD) % 256**width
    return value.to_bytes(width, one(rng, ("little", "big")))


def _span(rng: Rng, data: bytes, longest: int = 400) -> tuple[int, int]:
    at = int(rng.integers(len(data)))
    return at, at + int(rng.integers(1, longest))


def flip(rng: Rng, data: bytes) -> bytes:
    """A few bits, near the front half of the time: headers lie there."""
    out = bytearray(data)
    end = len(out) if rng.random() < 0.5 else min(len(out), 512)
    for at in rng.integers(0, end, int(rng.integers(1, 9))):
        out[at] ^= 1 << int(rng.integers(8))
    return bytes(out)


def run(rng: Rng, data: bytes) -> bytes:
    """A run of bytes, all the same or all random."""
    at, end = _span(rng, data)
    same = one(rng, (b"\x00", b"\xff", b"\x80", b""))
    return put(data, at, same * (end - at) if same else rng.bytes(end - at))


def cut(rng: Rng, data: bytes) -> bytes:
    """The file broken off."""
    return data[: int(rng.integers(len(data)))]


def drop(rng: Rng, data: bytes) -> bytes:
    """A piece taken out."""
    at, end = _span(rng, data)
    return data[:at] + data[end:]


def double(rng: Rng, data: bytes) -> bytes:
    """A piece repeated, once or many times."""
    at, end = _span(rng, data)
    return data[:end] + data[at:end] * int(one(rng, (1, 2, 50))) + data[end:]


def length(rng: Rng, data: bytes) -> bytes:
    """An odd number somewhere, as wide as a length field."""
    end = len(data) if rng.random() < 0.3 else min(len(data), 1200)
    return put(data, int(rng.integers(end)), number(rng, int(one(rng, (1, 2, 4)))))


def tail(rng: Rng, data: bytes) -> bytes:
    """Something behind the end."""
    return data + one(rng, (bytes(3000), rng.bytes(3000), data, b"\xff" * 999))


ATTACKS: tuple[Attack, ...] = (flip, run, cut, drop, double, length, tail)


def splice(rng: Rng, data: bytes, other: bytes) -> bytes:
    """The head of one file and the tail of another."""
    share = rng.random()
    return data[: int(share * len(data))] + other[int(share * len(other)) :]
