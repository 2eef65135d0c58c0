"""What runs out while a film is read is never taken for a fault of the film."""

import builtins
import errno
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageFile
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import RLELossless
from test_dicom import RAMP, dicom
from test_stored import rle

from firstread.errors import Shortage, UnreadableFilm
from firstread.film import decode, stored
from firstread.film import dicom as dicom_room
from firstread.film.shortage import shortage
from firstread.film.walk import iter_sources
from firstread.read.dicom_out.source import read_header


def fails(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(errno.ENOMEM, "x"), "not enough memory"),
        (OSError(errno.EMFILE, "x"), "too many files"),
        (OSError(errno.ENFILE, "x"), "too many files"),
        (OSError(errno.ENOSPC, "x"), "disk"),
        (Shortage("as before"), "as before"),
    ],
)
def test_what_ran_out_is_told(error: BaseException, told: str) -> None:
    assert told in str(shortage(error))


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "x"), OSError("x"), ValueError(24)])
def test_other_errors_are_no_shortage(error: BaseException) -> None:
    assert shortage(error) is None


def test_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(out, "PNG")
    monkeypatch.setattr(Image.Image, "crop", fails(MemoryError()))
    with pytest.raises(Shortage, match="memory"):
        decode(out.getvalue())


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Called with a number of bytes: from now on numpy has no memory for so many at once."""
    whole = np.empty

    def refuse(n_bytes: int) -> None:
        def empty(shape: Any, *told: Any, **more: Any) -> Any:
            if shape == n_bytes:
                raise MemoryError
            return whole(shape, *told, **more)

        monkeypatch.setattr(np, "empty", empty)

    return refuse


@pytest.mark.parametrize(
    "words", ["broken data stream when reading image file", "decoder error -9"]
)
def test_a_picture_that_a_decoder_in_c_had_no_memory_for(
    monkeypatch: pytest.MonkeyPatch, no_room: Callable[[int], None], words: str
) -> None:
    """It tells the same of a broken picture."""
    out = io.BytesIO()
    Image.fromarray(np.zeros((64, 48, 3), np.uint8)).save(out, "JPEG", progressive=True)
    monkeypatch.setattr(ImageFile.ImageFile, "load", fails(OSError(words)))
    with pytest.raises(UnreadableFilm):
        decode(out.getvalue())
    no_room(2 * 3 * 64 * 48)
    with pytest.raises(Shortage, match="memory"):
        decode(out.getvalue())


def test_a_picture_that_is_cut_off_is_at_fault_whatever_the_memory(
    no_room: Callable[[int], None],
) -> None:
    out = io.BytesIO()
    Image.fromarray(np.zeros((64, 48), np.uint8)).save(out, "BMP")
    no_room(2 * 64 * 48)
    with pytest.raises(UnreadableFilm):
        decode(out.getvalue()[:-1000])


def test_a_dicom_film_and_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_room, "read_dataset", fails(MemoryError()))
    for read in (decode, read_header):
        with pytest.raises(Shortage, match="memory"):
            read(dicom(RAMP, 12))


def test_a_decoder_that_pydicom_says_no_word_of(
    monkeypatch: pytest.MonkeyPatch, no_room: Callable[[int], None]
) -> None:
    """It makes a RuntimeError of whatever a decoder raises."""
    data = rle(dicom(RAMP, 12))
    monkeypatch.setattr(DecodeRunner, "_decode_frame", fails(RuntimeError("pydicom: ")))
    with pytest.raises(UnreadableFilm):
        decode(data)
    no_room(stored.MEMORY * 2 * RAMP.size)
    with pytest.raises(Shortage, match="memory"):
        decode(data)


def test_gdcm_is_not_begun_without_the_memory_for_it(
    monkeypatch: pytest.MonkeyPatch, no_room: Callable[[int], None]
) -> None:
    """It ends the whole process then, by a C++ exception that nobody catches."""
    path = pydicom.data.get_testdata_file("JPEGLSNearLossless_16.dcm", download=False)
    data = Path(path or "").read_bytes()
    ds = pydicom.dcmread(io.BytesIO(data))
    begun = []
    monkeypatch.setattr(DecodeRunner, "_decode_frame", lambda *_: begun.append(0))
    no_room(stored.MEMORY * 2 * ds.Rows * ds.Columns)
    with pytest.raises(Shortage, match="memory"):
        decode(data)
    assert not begun


def test_a_film_that_no_decoder_knows_is_no_shortage_whatever_its_numbers() -> None:
    """By them it would take terabytes."""
    data = changed(rle(dicom(RAMP, 12)), "1.2.840.10008.1.2.4.201", SamplesPerPixel=60_000)
    with pytest.raises(UnreadableFilm, match="cannot be decoded here"):
        decode(data)


def test_no_more_is_asked_for_than_a_film_takes(
    monkeypatch: pytest.MonkeyPatch, no_room: Callable[[int], None]
) -> None:
    data = changed(rle(dicom(RAMP, 12)), RLELossless, BitsAllocated=64)
    monkeypatch.setattr(DecodeRunner, "_decode_frame", fails(RuntimeError("pydicom: ")))
    no_room(stored.MOST_MEMORY)
    with pytest.raises(Shortage, match="memory"):
        decode(data)


def changed(data: bytes, syntax: str, **numbers: int) -> bytes:
    """A compressed film that calls its pixels 8000 x 8000 and of that syntax."""
    ds = pydicom.dcmread(io.BytesIO(data))
    ds.Rows = ds.Columns = 8000
    ds.file_meta.TransferSyntaxUID = syntax
    for name, number in numbers.items():
        setattr(ds, name, number)
    out = io.BytesIO()
    ds.save_as(out)
    return out.getvalue()


def test_no_more_files_may_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film, archive = tmp_path / "a.dcm", tmp_path / "b.zip"
    film.write_bytes(dicom(RAMP, 12))
    with zipfile.ZipFile(archive, "w") as out:
        out.write(film, "a.dcm")
    (packed,) = iter_sources([str(archive)])
    os.utime(archive, (0, 0))  # so that it is opened again
    with monkeypatch.context() as short:
        for place in (io, builtins):
            short.setattr(place, "open", fails(OSError(errno.EMFILE, "x")))
        with pytest.raises(Shortage, match="too many files"):
            decode(film)
        with pytest.raises(Shortage, match="too many files"):
            packed.read_bytes()
