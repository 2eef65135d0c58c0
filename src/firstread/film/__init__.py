"""One film: bytes to pixels, and the one `preprocess` that everything shares."""

from firstread.film.decode import FILM_SUFFIXES, Film, decode
from firstread.film.preprocess import Preprocess, preprocess

__all__ = ["FILM_SUFFIXES", "Film", "Preprocess", "decode", "preprocess"]
