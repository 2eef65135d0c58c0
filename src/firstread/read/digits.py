"""Probabilities in digits: few, but as many as what was decided needs.

Three decimals say as much as a calibration can. But where pneumonia is rare a threshold may be
0.00088, and anywhere a film may lie just beside it: with three decimals a film that was called
pneumonia and one that was not would bear the same number, at a threshold of the same or of nought.
So decimals are added until numbers that differ look different, and every limit has two digits
beyond its noughts or nines. A model is never sure: a probability that would be rounded to 0 or 1 is
told as less or more than the last number before.
"""

from __future__ import annotations

LEAST = 3
"""Decimals that a probability has at the least."""

MOST = 12
"""Decimals beyond which numbers are told as alike."""


def places(probability: float, *limits: float, least: int = LEAST) -> int:
    """Decimals with which a probability and the limits beside it, all 0 to 1, look as they are."""
    for n in range(least, MOST):
        shown = {limit: round(limit, n) for limit in limits}
        clear = len(set(shown.values())) == len(shown)
        edge = 10.0 ** (1 - n)  # two digits beyond the noughts, or the nines
        inside = all(edge <= limit <= 1 - edge for limit in limits if 0 < limit < 1)
        told = _inside(probability, n)
        if (
            clear
            and inside
            and all(x != told for limit, x in shown.items() if limit != probability)
        ):
            return n
    return MOST


def in_digits(probability: float, *limits: float, least: int = LEAST) -> tuple[str, ...]:
    """A probability and the limits beside it as texts, all with equally many decimals.

    >>> in_digits(0.98765, 0.5)
    ('0.988', '0.500')
    >>> in_digits(0.54981, 0.54984)
    ('0.54981', '0.54984')
    >>> in_digits(0.99996, 0.5)
    ('>0.999', '0.500')
    """
    n = places(probability, *limits, least=least)
    inside = _inside(probability, n)
    sign = "" if inside == round(probability, n) else "<" if probability < inside else ">"
    return f"{sign}{inside:.{n}f}", *(f"{limit:.{n}f}" for limit in limits)


def in_percent(probability: float, threshold: float) -> tuple[float, float]:
    """The same in per cent as numbers, with two decimals or as many as it takes; where a text has
    "<" or ">" the last number before 0 or 100.

    >>> in_percent(0.98765, 0.5)
    (98.77, 50.0)
    >>> in_percent(0.99999, 0.5)
    (99.99, 50.0)
    """
    n = places(probability, threshold, least=4)
    return round(100 * _inside(probability, n), n - 2), round(100 * threshold, n - 2)


def limits_in_digits(*limits: float, least: int = LEAST) -> tuple[str, ...]:
    """Limits that stand by themselves as texts, all with equally many decimals.

    >>> limits_in_digits(0.00088, 0.00057, 0.00137)
    ('0.00088', '0.00057', '0.00137')
    """
    return in_digits(limits[0], *limits, least=least)[1:]


def _inside(probability: float, n: int) -> float:
    """`probability` with `n` decimals, neither 0 nor 1."""
    step = 10.0**-n
    return round(min(max(probability, step), 1 - step), n)
