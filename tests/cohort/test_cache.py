"""Decode once: a stale, damaged or lacking cache is made again, and nothing else is."""

import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
import pytest

from firstread.cohort import cache
from firstread.cohort.cache import cached_films
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import Cohort, load_cohort
from firstread.errors import FilmError, NoFilms, OutputError, Shortage
from firstread.film import leftovers
from firstread.film.preprocess import Preprocess

HOW = Preprocess(32)

KILLED = """
import os, signal, sys
from pathlib import Path
from firstread.cohort import cache
from firstread.cohort.table import load_cohort
from firstread.film.preprocess import Preprocess

def half(out, *told):
    out.write(bytes(100))
    out.flush()
    os.kill(os.getpid(), signal.SIGKILL)

cache._write_films = half
cache.cached_films(load_cohort(Path(sys.argv[1])), Preprocess(32), Path(sys.argv[2]))
"""


@pytest.fixture
def films(tmp_path: Path) -> Cohort:
    return load_cohort(write_folder(tmp_path / "films", 4, size=48))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths that were decoded, in any order."""
    seen: list[Path] = []
    real = cache.decode

    def decode(path, **how):
        seen.append(path)
        return real(path, **how)

    monkeypatch.setattr(cache, "decode", decode)
    return seen


def test_films_are_decoded_once(films: Cohort, tmp_path: Path, decoded: list[Path]) -> None:
    first = cached_films(films, HOW, tmp_path / "cache")
    assert first.pixels.shape == (8, 32, 32)
    assert first.pixels.dtype == np.uint8
    assert len(decoded) == 8
    again = cached_films(films, HOW, tmp_path / "cache")
    assert np.array_equal(first.pixels, again.pixels)
    assert len(decoded) == 8
    cached_films(films, Preprocess(24), tmp_path / "cache")
    assert len(decoded) == 16


def test_a_film_that_is_broken_is_left_out_and_named(films: Cohort, tmp_path: Path) -> None:
    films.paths[2].write_bytes(b"no film")
    for _ in range(2):
        cached = cached_films(films, HOW, tmp_path / "cache")
        assert [file for file, _ in cached.failed] == [films.rows[2].file]
        assert len(cached.films) == len(cached.pixels) == 7


def test_a_passing_error_is_not_kept(
    films: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network drive that failed once must not cost the film in every later run."""
    real = cache.decode

    def failing(path, **how):
        if path == films.paths[2]:
            raise FilmError("the file cannot be opened (Input/output error)")
        return real(path, **how)

    with monkeypatch.context() as m:
        m.setattr(cache, "decode", failing)
        assert len(cached_films(films, HOW, tmp_path / "cache").films) == 7
    healed = cached_films(films, HOW, tmp_path / "cache")
    assert len(healed.films) == len(healed.pixels) == 8
    assert healed.failed == ()


def test_a_shortage_leaves_no_film_out(
    films: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says while which film something ran out."""

    def short(path: Path, **how: Any) -> None:
        raise Shortage("too many files are open to read it")

    with monkeypatch.context() as m:
        m.setattr(cache, "decode", short)
        with pytest.raises(Shortage, match=rf"{films.paths[0].name}: too many files"):
            cached_films(films, HOW, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    assert cached_films(films, HOW, tmp_path / "cache").failed == ()


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", None], ids=["empty", "head", "truncated"])
def test_a_damaged_cache_is_made_again(films: Cohort, tmp_path: Path, damage: bytes | None) -> None:
    before = cached_films(films, HOW, tmp_path / "cache").pixels.copy()
    (data,) = (tmp_path / "cache").glob("*.npy")
    data.write_bytes(data.read_bytes()[:-9] if damage is None else damage)
    assert np.array_equal(cached_films(films, HOW, tmp_path / "cache").pixels, before)


def test_not_one_film(films: Cohort, tmp_path: Path) -> None:
    for path in films.paths:
        path.write_bytes(b"no film")
    with pytest.raises(NoFilms, match="none of the 8 films"):
        cached_films(load_cohort(films.root), HOW, tmp_path / "cache")


def test_films_need_not_fit_into_memory(films: Cohort, tmp_path: Path) -> None:
    """Twenty films of 1 MiB, of which some are in the hands of a thread at any time."""
    rows = tuple(films.rows[i % 8] for i in range(20))
    tracemalloc.start()
    try:
        cached = cached_films(Cohort(films.root, rows), Preprocess(1024), tmp_path / "cache")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert cached.pixels.shape == (20, 1024, 1024)
    assert most < 15 << 20


def test_a_slow_disk_has_no_films_wait_in_memory(
    films: Cohort, tmp_path: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Films are decoded no further ahead of the file than there are hands, twice over."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    ahead: list[int] = []

    def slow(done: int, total: int) -> None:
        if done < 4:
            time.sleep(0.3)  # all others would be decoded meanwhile
        ahead.append(len(decoded) - done)

    rows = tuple(films.rows[i % 8] for i in range(40))
    cached_films(Cohort(films.root, rows), HOW, tmp_path / "cache", slow)
    assert len(decoded) == 40
    assert max(ahead) < 4


def test_a_cache_without_room_is_told_before_a_film_is_decoded(
    films: Cohort, tmp_path: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: _usage(8 * 32 * 32 - 1))
    with pytest.raises(OutputError, match=r"takes 8\.19 kB there and 8\.19 kB are free; .*_CACHE"):
        cached_films(films, HOW, tmp_path / "cache")
    assert decoded == []
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("there", [(8 * 32 * 32, 10**6), (0, 0)], ids=["just", "not told"])
def test_a_cache_with_room_is_built(
    films: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: tuple[int, int]
) -> None:
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: _usage(*there))
    assert len(cached_films(films, HOW, tmp_path / "cache").pixels) == 8


def _usage(free: int, total: int = 10**6) -> SimpleNamespace:
    return SimpleNamespace(total=total, used=total - free, free=free)


def test_another_version_may_decode_otherwise(
    films: Cohort, tmp_path: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_films(films, HOW, tmp_path / "cache")
    monkeypatch.setattr(cache, "__version__", "99.0")
    cached_films(films, HOW, tmp_path / "cache")
    assert len(decoded) == 16


def test_two_runs_of_one_process_id_build_one_cache(
    films: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two containers over one folder each is process 1."""
    alone = cached_films(films, HOW, tmp_path / "alone").pixels
    write, both = cache._write_films, Barrier(2, timeout=30)

    def at_once(*told):
        both.wait()
        failed = write(*told)
        both.wait()
        return failed

    monkeypatch.setattr(cache, "_write_films", at_once)
    with ThreadPoolExecutor(2) as two:
        for built in two.map(lambda folder: cached_films(films, HOW, folder), [tmp_path / "c"] * 2):
            assert np.array_equal(built.pixels, alone)
    assert sorted(p.suffix for p in (tmp_path / "c").iterdir()) == [".npy"]


def test_a_build_that_ends_within_another_one_is_not_mixed_with_it(
    films: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two builders lacks another film, as of a drive that fails now and then."""
    real, part_file, bad = cache.decode, cache.part_file, [films.paths[2]]

    def failing(path: Path, **how: Any) -> Any:
        if path in bad:
            raise FilmError("the file cannot be opened (Input/output error)")
        return real(path, **how)

    @contextmanager
    def and_another(target: Path) -> Iterator[BinaryIO]:
        with part_file(target) as out:
            yield out
        if bad == [films.paths[2]]:
            bad[:] = [films.paths[5]]
            cached_films(films, HOW, tmp_path / "cache")

    with monkeypatch.context() as m:
        m.setattr(cache, "decode", failing)
        m.setattr(cache, "part_file", and_another)
        built = cached_films(films, HOW, tmp_path / "cache")
    assert len(built.films) == 7
    for row, pixels in zip(built.films.rows, built.pixels, strict=True):
        assert np.array_equal(pixels, cache.prepared(row, HOW)), row.file


@pytest.mark.skipif(leftovers._place() is None, reason="process ids hold nowhere")
def test_what_a_killed_build_left_goes_at_the_next(films: Cohort, tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(films.root), str(tmp_path / "cache")], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "cache").iterdir()
    assert left.suffix == ".part"
    cached_films(films, HOW, tmp_path / "cache")
    assert sorted(p.suffix for p in (tmp_path / "cache").iterdir()) == [".npy"]
