"""What hostile DICOM files may not do: each bomb is small, and refused before it costs anything."""

import io
import logging
import warnings
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1, JPEGLSLossless

from firstread.errors import FilmTooLarge, UnreadableFilm
from firstread.film import decode
from firstread.film import guard as room
from firstread.film.guard import check_scans, size_told
from firstread.film.quiet import quiet
from firstread.read.dicom_out.source import read_header
from fuzzing.picture_attacks import j2k_size
from fuzzing.seeds import PATIENT, all_seeds, chest, dataset, deep, written
from fuzzing.worker import leaked

ITEM, ITEM_END = b"\xfe\xff\x00\xe0" + b"\xff" * 4, b"\xfe\xff\x0d\xe0" + bytes(4)
END = b"\xfe\xff\xdd\xe0" + bytes(4)
SEQUENCE = b"\x18\x00\x12\x90SQ\x00\x00" + b"\xff" * 4


def before_the_pixels(what: bytes) -> bytes:
    data = all_seeds()["dicom explicit"]
    at = data.index(b"\x28\x00\x02\x00US")
    return data[:at] + what + data[at:]


def changed(**changes: Any) -> bytes:
    ds = dataset(deep(), 12)
    with quiet:
        for name, value in changes.items():
            setattr(ds, name, value)
        return written(ds)


@pytest.mark.parametrize(
    "bomb",
    [
        SEQUENCE + (ITEM + ITEM_END) * 300_000 + END,
        b"".join(
            (0x19 + 2 * (i >> 15)).to_bytes(2, "little")
            + (i & 0x7FFF).to_bytes(2, "little")
            + b"LO\x00\x00"
            for i in range(200_000)
        ),
        (SEQUENCE + ITEM) * 9_000,
    ],
    ids=["items", "elements", "depth"],
)
def test_a_header_of_too_many_parts_is_refused(bomb: bytes) -> None:
    with pytest.raises(UnreadableFilm):
        decode(before_the_pixels(bomb))
    with pytest.raises(UnreadableFilm):
        read_header(before_the_pixels(bomb))


def test_a_header_as_archives_keep_them_passes() -> None:
    some = SEQUENCE + (ITEM + b"\x08\x00\x60\x00CS\x02\x00DX" + ITEM_END) * 2_000 + END
    assert decode(before_the_pixels(some)).pixels.shape == (100, 84)


@pytest.mark.parametrize("kind", [b"LO", b"UN", b"UC"])
def test_a_text_of_a_million_parts_is_refused_unread(kind: bytes) -> None:
    many = b"\\" * 8_000_000
    # Manufacturer, WindowCenter, SpecificCharacterSet
    for tag in (b"\x08\x00\x70\x00", b"\x28\x00\x50\x10", b"\x08\x00\x05\x00"):
        text = tag + kind + bytes(2) + len(many).to_bytes(4, "little") + many
        if kind == b"LO":  # 16 bits tell its length: one of implicit representations
            text = tag + len(many).to_bytes(4, "little") + many
            data = all_seeds()["dicom implicit"]
            at = data.index(b"\x28\x00\x02\x00")
            bomb = data[:at] + text + data[at:]
        else:
            bomb = before_the_pixels(text)
        with pytest.raises(UnreadableFilm, match="parts"):
            decode(bomb)


def test_fragments_are_counted_in_pixels_of_a_told_length() -> None:
    data = all_seeds()["dicom rle"]
    at = data.rindex(b"\xe0\x7f\x10\x00")
    many = (b"\xfe\xff\x00\xe0" + bytes(4)) * 1_000_000
    bomb = data[:at] + b"\xe0\x7f\x10\x00OB\x00\x00" + len(many).to_bytes(4, "little") + many
    with pytest.raises(UnreadableFilm, match="parts"):
        decode(bomb)


def test_plain_pixels_may_hold_what_looks_like_items() -> None:
    ds = dataset(deep(), 12)
    ds.PixelData = (b"\xfe\xff\x00\xe0" * len(ds.PixelData))[: len(ds.PixelData)]
    assert decode(written(ds)).pixels.shape == (100, 84)


def test_an_exif_block_of_megabytes_is_left_alone() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA000] = tuple(range(200_000))
    out = io.BytesIO()
    Image.fromarray(chest()).save(out, "PNG", exif=exif)
    film = decode(out.getvalue())
    assert not film.camera


def test_tables_of_megabytes_are_refused_unread() -> None:
    item = pydicom.Dataset()
    item.LUTDescriptor, item.LUTData = [4, 0, 16], bytes(room.MOST_TABLES + 2)
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    with pytest.raises(FilmTooLarge, match="tables"):
        decode(changed(VOILUTSequence=[item]))


def test_a_deflated_bomb_stops_at_the_results_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstread.film.dicom.MOST_INFLATED", 10_000)
    for read in (decode, read_header):
        with pytest.raises(FilmTooLarge):
            read(all_seeds()["dicom deflated"])


@pytest.mark.parametrize(
    "kind", ["jpeg", "jpeg lossless", "jpeg-ls", "jpeg-ls near", "jpeg 2000", "jpeg 2000 lossy"]
)
def test_a_stream_of_another_size_reaches_no_codec(kind: str) -> None:
    """GDCM ends the process over such a JPEG-LS; it would be this one."""
    ds = pydicom.dcmread(io.BytesIO(all_seeds()[f"dicom {kind}"]))
    for name, value in (("Rows", 101), ("Columns", 83), ("SamplesPerPixel", 3), ("Rows", 8000)):
        ds.Rows, ds.Columns, ds.SamplesPerPixel = 100, 84, 1
        setattr(ds, name, value)
        out = io.BytesIO()
        ds.save_as(out)
        with pytest.raises(UnreadableFilm, match="not of the size"):
            decode(out.getvalue())
    ds.Rows, ds.BitsAllocated, ds.BitsStored = 100, 32, 24
    out = io.BytesIO()
    ds.save_as(out)
    with pytest.raises(UnreadableFilm, match="not of the size"):
        decode(out.getvalue())


def test_sizes_are_read_from_the_streams_own_heads() -> None:
    for name, data in all_seeds().items():
        if not name.startswith("dicom j"):
            continue
        ds = pydicom.dcmread(io.BytesIO(data))
        stream = pydicom.encaps.get_frame(ds.PixelData, 0, number_of_frames=1)
        told = size_told(stream)
        assert told is not None
        assert told[:3] == (100, 84, 1)
        assert ds.BitsStored <= told[3] <= ds.BitsAllocated, name
        assert size_told(stream[:9]) is None
    assert size_told(all_seeds()["jpeg rgb"]) == (100, 84, 3, 8)
    assert size_told(b"") is size_told(bytes(50)) is None
    rng = np.random.default_rng(0)
    for _ in range(200):
        size_told(j2k_size(rng, all_seeds()["dicom jpeg 2000"])[900:])
        size_told(b"\xff\xd8" + rng.bytes(40))


def test_a_head_with_a_gap_or_without_tables_is_no_head() -> None:
    """GDCM ended the process on such a JPEG lossless film."""
    ds = pydicom.dcmread(io.BytesIO(all_seeds()["dicom jpeg lossless"]))
    stream = pydicom.encaps.get_frame(ds.PixelData, 0, number_of_frames=1)
    at = stream.index(b"\xff\xc4")
    length = 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    assert size_told(stream) is not None
    assert size_told(stream[:at] + stream[at + length :]) is None
    assert size_told(stream[:at] + b"\x7f\x1d" + stream[at + 2 :]) is None
    ds.PixelData = encapsulate([stream[:at] + stream[at + length :]])
    ds["PixelData"].is_undefined_length = True
    with pytest.raises(UnreadableFilm, match="compressed pixels"):
        decode(written(ds, JPEGLosslessSV1))


def test_more_scans_than_a_picture_needs() -> None:
    data = all_seeds()["jpeg progressive"]
    scan = data[data.rindex(b"\xff\xda") : -2]
    decode(data)
    with pytest.raises(UnreadableFilm, match="scans"):
        decode(data[:-2] + scan * 200 + data[-2:])
    with pytest.raises(UnreadableFilm, match="scans"):
        check_scans(b"\xff\xda" * 101)


def test_a_long_run_length_stream_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    decode(all_seeds()["dicom rle"])
    monkeypatch.setattr("firstread.film.stored.MOST_RLE", 1_000)
    with pytest.raises(FilmTooLarge, match="run-length"):
        decode(all_seeds()["dicom rle"])


def test_only_the_named_codecs_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a film would be read otherwise as soon as another package is there."""
    pyjpegls = pytest.importorskip("pydicom.pixels.decoders.pyjpegls")
    monkeypatch.setattr(pyjpegls, "_decode_frame", lambda *_: pytest.fail("asked"))
    ds = dataset(chest(), 8)
    head = b"\xff\xd8\xff\xf7\x00\x0b\x08\x00\x64\x00\x54\x01\x01\x11\x00"
    ds.PixelData = encapsulate([head + b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00" + bytes(99)])
    ds["PixelData"].is_undefined_length = True
    with pytest.raises(UnreadableFilm, match="cannot be decoded"):
        decode(written(ds, JPEGLSLossless))


def test_pixels_of_several_frames_are_no_colours() -> None:
    """Three frames under NumberOfFrames 1 were once taken for red, green and blue."""
    with pytest.raises(UnreadableFilm, match="more than one frame"):
        decode(changed(PixelData=deep().tobytes() * 3))


@pytest.mark.parametrize(
    "tags",
    [
        {"RescaleSlope": "NaN", "RescaleIntercept": "0"},
        {"RescaleSlope": "1e308", "RescaleIntercept": "1e308"},
        {"RescaleSlope": "inf", "RescaleIntercept": "-inf"},
    ],
)
def test_a_rescale_that_makes_no_numbers(tags: dict[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = changed(WindowCenter="0", WindowWidth="10", **tags)
    try:
        film = decode(data)
    except UnreadableFilm:
        return
    assert np.isfinite(film.pixels).all()


def test_no_word_of_the_file_is_quoted(caplog: pytest.LogCaptureFixture) -> None:
    """A name where a code should stand reaches neither the reason nor a log of pydicom's."""
    caplog.set_level(logging.DEBUG)
    name = PATIENT["PatientName"]
    ds = dataset(deep(), 12)
    del ds.Rows
    ds["Modality"]._value = name
    whole = written(dataset(deep(), 12))
    syntax = whole.replace(b"1.2.840.10008.1.2.1\0", name.encode().ljust(20, b"\0")[:20])
    caplog.clear()  # of what pydicom said while these were made
    for data in (written(ds), syntax):
        with pytest.raises(UnreadableFilm) as error:
            decode(data)
        assert leaked(str(error.value)) == []
        assert str(error.value).isprintable()
    assert leaked(caplog.text) == []
