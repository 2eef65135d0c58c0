"""One film in every lossless transfer syntax and photometric form: the same pixels to a level."""

import io
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)
from test_dicom import dicom

from firstread.cohort.synthetic import draw_film
from firstread.errors import FilmTooLarge, UnreadableFilm
from firstread.film import Preprocess, decode, preprocess
from firstread.film import dicom as room
from fuzzing.seeds import by_gdcm

SIZE = 96


def film12() -> np.ndarray:
    """A drawn film at 12 bits, of more rows than columns, that uses its range."""
    eight = draw_film(np.random.default_rng(3), True, 160)
    large = Image.fromarray(eight.astype(np.float32)).resize((150, 170))
    grey = np.asarray(large)
    return np.rint((grey - grey.min()) / (grey.max() - grey.min()) * 4095).astype(np.uint16)


FILM = film12()
EXPECTED = preprocess(decode(dicom(FILM, bits=12)), Preprocess(SIZE)).astype(int)


def seen(data: bytes) -> np.ndarray:
    return preprocess(decode(data), Preprocess(SIZE)).astype(int)


def same(data: bytes) -> bool:
    return int(np.abs(seen(data) - EXPECTED).max()) <= 1


def test_the_film_is_worth_the_trouble() -> None:
    assert EXPECTED.std() > 30
    assert EXPECTED.min() < 40 < 200 < EXPECTED.max()


def rewritten(syntax: pydicom.uid.UID) -> bytes:
    """The film in another uncompressed transfer syntax."""
    if syntax != ExplicitVRBigEndian:
        return dicom(FILM, bits=12, syntax=syntax)
    ds = pydicom.dcmread(io.BytesIO(dicom(FILM.byteswap(), bits=12)))
    ds.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, implicit_vr=False, little_endian=False, force_encoding=True)
    return out.getvalue()


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
    ids=lambda s: s.name,
)
def test_uncompressed(syntax: pydicom.uid.UID) -> None:
    assert same(rewritten(syntax))


LOSSLESS = {
    "RLE": gdcm.TransferSyntax.RLELossless,
    "JPEG lossless, process 14": gdcm.TransferSyntax.JPEGLosslessProcess14,
    "JPEG lossless, selection value 1": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "JPEG-LS": gdcm.TransferSyntax.JPEGLSLossless,
    "JPEG 2000": gdcm.TransferSyntax.JPEG2000Lossless,
}


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_compressed(name: str, photometric: str, tmp_path: Path) -> None:
    stored = 4095 - FILM if photometric == "MONOCHROME1" else FILM
    data = by_gdcm(dicom(stored, 12, photometric), LOSSLESS[name])
    assert pydicom.dcmread(io.BytesIO(data)).file_meta.TransferSyntaxUID.is_compressed
    assert same(data)


@pytest.mark.parametrize("name", LOSSLESS)
def test_compressed_signed(name: str, tmp_path: Path) -> None:
    window = {"WindowCenter": 0, "WindowWidth": 4096}
    data = dicom(FILM.astype(np.int16) - 2048, 12, **window)
    assert same(by_gdcm(data, LOSSLESS[name]))


LOSSY = {
    JPEGBaseline8Bit: {"format": "JPEG", "quality": 95},
    JPEG2000: {"format": "JPEG2000", "irreversible": True, "quality_layers": [8], "no_jp2": True},
}


@pytest.mark.parametrize("syntax", LOSSY, ids=lambda s: s.name)
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_lossy(syntax: pydicom.uid.UID, photometric: str) -> None:
    """What the encoder lost is lost, and no more: Pillow's own reading of the same stream."""
    eight = np.rint(FILM / 4095 * 255).astype(np.uint8)
    stream = io.BytesIO()
    stored = 255 - eight if photometric == "MONOCHROME1" else eight
    Image.fromarray(stored).save(stream, **LOSSY[syntax])
    ds = pydicom.dcmread(io.BytesIO(dicom(stored, 8, photometric)))
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = pydicom.encaps.encapsulate([stream.getvalue()])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    out = io.BytesIO()
    ds.save_as(out)
    lost = np.abs(seen(out.getvalue()) - EXPECTED)
    assert 0 < lost.max() <= 12
    assert lost.mean() < 1


def test_near_lossless(tmp_path: Path) -> None:
    data = by_gdcm(form("eight bits"), gdcm.TransferSyntax.JPEGLSNearLossless)
    assert same(data)


def test_lossy_jpeg_of_twelve_bits_is_refused_by_name(tmp_path: Path) -> None:
    syntax = gdcm.TransferSyntax.JPEGExtendedProcess2_4
    with pytest.raises(UnreadableFilm, match=r"JPEG Extended .* cannot be decoded here"):
        decode(by_gdcm(dicom(FILM, 12), syntax))


def form(name: str) -> bytes:
    twelve = FILM.astype(np.int32)
    if name == "signed, window":
        return dicom((twelve - 2048).astype(np.int16), 12, WindowCenter=0, WindowWidth=4096)
    if name == "rescale, window":
        return dicom(
            FILM, 12, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=3096, WindowWidth=8192
        )
    if name == "negative rescale, window":
        tags = {"RescaleSlope": -1, "RescaleIntercept": 4095}
        return dicom(4095 - FILM, 12, **tags, WindowCenter=2048, WindowWidth=4096)
    if name == "sixteen bits":
        return dicom((twelve * 16 + 8).astype(np.uint16), 16)
    if name == "eight bits":
        return dicom(np.rint(twelve / 4095 * 255).astype(np.uint8))
    if name == "twelve of sixteen bits":
        return dicom(FILM, 16)
    if name == "MONOCHROME1":
        return dicom(4095 - FILM, 12, "MONOCHROME1")
    if name == "VOI LUT":
        item = pydicom.Dataset()
        item.LUTDescriptor, item.LUTData = [4096, 0, 16], (np.arange(4096) * 16).tolist()
        item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
        return dicom(FILM, 12, VOILUTSequence=[item])
    eight = np.rint(twelve / 4095 * 255).astype(np.uint8)
    if name == "RGB":
        return dicom(np.repeat(eight[..., None], 3, 2), 8, "RGB")
    assert name == "palette"
    ramp = (np.arange(256) * 257).astype("<u2").tobytes()
    tags = {}
    for colour in ("Red", "Green", "Blue"):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{colour}PaletteColorLookupTableData"] = ramp
    return dicom(eight, 8, "PALETTE COLOR", **tags)


@pytest.mark.parametrize(
    "name",
    [
        "signed, window",
        "rescale, window",
        "negative rescale, window",
        "sixteen bits",
        "eight bits",
        "twelve of sixteen bits",
        "MONOCHROME1",
        "VOI LUT",
        "RGB",
        "palette",
    ],
)
def test_photometric_forms(name: str) -> None:
    assert same(form(name))


def test_a_shutter_is_black_and_takes_no_part_in_the_range() -> None:
    framed = np.full((190, 190), 60000, np.uint16)
    framed[10:180, 20:170] = FILM
    edges = dict(zip(("Upper", "Lower"), (10, 181), strict=True))
    tags = {f"Shutter{k}HorizontalEdge": v for k, v in edges.items()}
    tags |= {"ShutterLeftVerticalEdge": 20, "ShutterRightVerticalEdge": 171}
    film = decode(dicom(framed, 16, ShutterShape="RECTANGULAR", **tags))
    assert film.pixels[:10].max() == film.pixels[:, 170:].max() == 0
    inner = film.pixels[10:180, 20:170]
    assert np.abs(inner - FILM / 4095 * 255).max() <= 1


@pytest.mark.parametrize(
    ("shape", "tags"),
    [
        ("CIRCULAR", {"CenterOfCircularShutter": [24, 32], "RadiusOfCircularShutter": 20}),
        ("POLYGONAL", {"VerticesOfThePolygonalShutter": [4, 32, 44, 4, 44, 60]}),
    ],
)
def test_other_shutters_hide_the_corners(shape: str, tags: dict[str, object]) -> None:
    white = np.full((48, 64), 200, np.uint8)
    shown = decode(dicom(white, ShutterShape=shape, **tags)).pixels
    assert shown[0, 0] == shown[0, -1] == 0
    assert shown[24, 32] == 200


@pytest.mark.parametrize(
    "tags",
    [
        {"ShutterShape": "RECTANGULAR"},
        {
            "ShutterShape": "CIRCULAR",
            "CenterOfCircularShutter": [900, 900],
            "RadiusOfCircularShutter": 1,
        },
        {"ShutterShape": "STAR"},
    ],
)
def test_a_senseless_shutter_hides_nothing(tags: dict[str, object]) -> None:
    white = np.full((48, 64), 200, np.uint8)
    assert (decode(dicom(white, **tags)).pixels == 200).all()


def test_a_deflated_bomb_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_INFLATED", 10_000)
    with pytest.raises(FilmTooLarge, match="unpacks to more"):
        decode(rewritten(DeflatedExplicitVRLittleEndian))


def test_a_deflated_file_cut_short_is_named() -> None:
    whole = rewritten(DeflatedExplicitVRLittleEndian)
    with pytest.raises(UnreadableFilm):
        decode(whole[: len(whole) // 2])
