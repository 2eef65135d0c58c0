"""DICOM: the grey scale pipeline against hand-made files, and against pydicom's own."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixels.processing import apply_modality_lut, apply_windowing
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from firstread.errors import FilmTooLarge, UnreadableFilm
from firstread.film import Preprocess, decode, preprocess
from firstread.film.quality import plainly_no_film

RAMP = np.linspace(0, 4095, 48 * 64).reshape(48, 64).round().astype(np.uint16)


def dicom(
    pixels: np.ndarray,
    bits: int | None = None,
    photometric: str = "MONOCHROME2",
    header: bool = True,
    syntax: UID = ExplicitVRLittleEndian,
    **tags: object,
) -> bytes:
    """The bytes of a DICOM file that holds `pixels`."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID = meta.MediaStorageSOPClassUID
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    ds.PatientName, ds.PatientID = "Grey^Ada", "secret-7"
    ds.PatientBirthDate, ds.PatientAge, ds.PatientSex = "20200101", "003Y", "F"
    ds.Modality, ds.ViewPosition = "DX", "AP"
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    if pixels.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = photometric
    ds.BitsAllocated = 8 * pixels.dtype.itemsize
    ds.BitsStored = bits or ds.BitsAllocated
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    ds.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(ds, name, value)
    out = io.BytesIO()
    if header:
        ds.save_as(out, enforce_file_format=True)
    else:
        del ds.file_meta
        ds.preamble = None
        ds.save_as(out, implicit_vr=True, little_endian=True)
    return out.getvalue()


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).max())


def test_eight_bits_without_window_stay_as_they_are() -> None:
    grey = (RAMP // 32 + 50).astype(np.uint8)  # 50 to 177: must not be stretched
    assert difference(decode(dicom(grey)).pixels, grey) < 1e-3


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_the_range_is_that_of_bits_stored(bits: int) -> None:
    deep = (RAMP.astype(np.uint32) * (2**bits - 1) // 4095).astype(np.uint16)
    film = decode(dicom(deep, bits))
    assert film.pixels.dtype == np.float32
    assert difference(film.pixels, deep * (255 / (2**bits - 1))) < 1e-3


def test_sixteen_bits_told_but_twelve_used() -> None:
    assert difference(decode(dicom(RAMP, 16)).pixels, RAMP * (255 / 4095)) < 1e-3


def test_odd_depth_is_kept() -> None:
    deep = RAMP // 2  # 11 bits
    assert difference(decode(dicom(deep, 11)).pixels, deep * (255 / 2047)) < 1e-3


def test_a_lead_marker_does_not_darken_the_film() -> None:
    dim = RAMP // 2 + 1100  # 1100 to 3147
    marked = dim.copy()
    marked[:4, :4] = 4095
    plain, with_marker = decode(dicom(dim, 12)).pixels, decode(dicom(marked, 12)).pixels
    assert difference(plain[4:], with_marker[4:]) == 0


def test_signed_values() -> None:
    signed = RAMP.astype(np.int16) - 2048
    assert difference(decode(dicom(signed, 12)).pixels, RAMP * (255 / 4095)) < 1e-3
    assert difference(decode(dicom(RAMP.astype(np.int16), 16)).pixels, RAMP * (255 / 4095)) < 1e-3


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize(("centre", "width"), [(2000, 1500), (1000.5, 333.3), (500, 4096)])
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (2, -1024), (-1, 4095)])
def test_windows_agree_with_pydicom(
    function: str | None, centre: float, width: float, slope: float, intercept: float
) -> None:
    tags: dict[str, object] = {"WindowCenter": [centre, 1], "WindowWidth": [width, 2]}
    tags |= {"RescaleSlope": slope, "RescaleIntercept": intercept}
    if function is not None:
        tags["VOILUTFunction"] = function
    data = dicom(RAMP, 12, **tags)
    ds = pydicom.dcmread(io.BytesIO(data))
    theirs = apply_windowing(apply_modality_lut(ds.pixel_array, ds), ds)
    ends = sorted((intercept, 4095 * slope + intercept))  # where pydicom puts black and white
    scaled = (theirs - ends[0]) / (ends[1] - ends[0]) * 255
    if slope < 0:  # pydicom takes the ends in the order of the stored values
        scaled = (theirs - 4095 - intercept) / -4095 * 255
        scaled = 255 - scaled if scaled[0, 0] < scaled[-1, -1] else scaled
    mine = decode(data).pixels
    assert mine.min() >= 0
    assert mine.max() <= 255
    if slope > 0:
        assert difference(mine, scaled) < 0.01
    else:
        assert mine[0, 0] >= mine[-1, -1]


def test_window_of_width_one_is_a_threshold() -> None:
    film = decode(dicom(RAMP, 12, WindowCenter=2000, WindowWidth=1))
    assert set(np.unique(film.pixels)) == {0, 255}


def test_a_window_without_width_is_ignored() -> None:
    film = decode(dicom(RAMP, 12, WindowCenter=2000, WindowWidth=0))
    assert difference(film.pixels, RAMP * (255 / 4095)) < 1e-3


@pytest.mark.parametrize("vr", ["OW", "US"])
@pytest.mark.parametrize("told", [12, 16])
def test_voi_lut(told: int, vr: str) -> None:
    """A LUT goes before a window, and may say 16 bits where its entries have 12."""
    lut = Dataset()
    lut.LUTDescriptor = [4096, 0, told]
    curve = ((np.arange(4096) / 4095) ** 2 * 4095).round().astype(np.uint16)
    lut.add_new("LUTData", vr, curve.tobytes() if vr == "OW" else curve.tolist())
    film = decode(dicom(RAMP, 12, VOILUTSequence=[lut], WindowCenter=5, WindowWidth=5))
    assert difference(film.pixels, curve[RAMP] * (255 / 4095)) < 1e-3


def big_endian(lut: Dataset) -> bytes:
    """`RAMP` at 12 bits in big endian, with a VOI LUT whose words are so already."""
    ds = pydicom.dcmread(io.BytesIO(dicom(RAMP, 12, VOILUTSequence=[lut])))
    ds.PixelData = RAMP.astype(">u2").tobytes()
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, implicit_vr=False, little_endian=False)
    return out.getvalue()


def test_voi_lut_in_big_endian() -> None:
    lut = Dataset()
    lut.LUTDescriptor = [4096, 0, 16]
    curve = ((np.arange(4096) / 4095) ** 2 * 4095).round().astype(np.uint16)
    lut.add_new("LUTData", "OW", curve.byteswap().tobytes())
    film = decode(big_endian(lut))
    assert difference(film.pixels, curve[RAMP] * (255 / 4095)) < 1e-3


def test_codes_of_view_and_region_are_told() -> None:
    codes = {}
    for name, meaning in (("ViewCodeSequence", "lateral"), ("AnatomicRegionSequence", "Chest")):
        code = Dataset()
        code.CodeMeaning = meaning
        codes[name] = [code]
    tags = decode(dicom(RAMP, 12, **codes)).tags
    assert (tags["ViewCode"], tags["RegionCode"]) == ("lateral", "Chest")


def test_scheme_and_value_of_a_code_are_told_and_every_value_of_a_view() -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "399067008", "SCT", "seitlich"
    tags = decode(dicom(RAMP, 12, ViewCodeSequence=[code], ViewPosition=["AP", "LL"])).tags
    assert (tags["ViewCodeValue"], tags["ViewPosition"]) == ("SCT 399067008", "AP\\LL")


@pytest.mark.parametrize(
    ("told", "kept"),
    [(["L", "F"], "L\\F"), (["AR", "F"], "AR\\F"), ("L", None), (["DOE", "J"], None), ("", None)],
)
def test_the_orientation_is_told_and_nothing_else_that_stands_there(
    told: object, kept: str | None
) -> None:
    assert decode(dicom(RAMP, 12, PatientOrientation=told)).tags.get("PatientOrientation") == kept


def test_a_code_that_is_a_text_spoils_no_film() -> None:
    ds = pydicom.dcmread(io.BytesIO(dicom(RAMP, 12)))
    ds.add_new("ViewCodeSequence", "LO", "lateral")
    out = io.BytesIO()
    ds.save_as(out)
    assert "ViewCode" not in decode(out.getvalue()).tags


def test_modality_lut() -> None:
    lut = Dataset()
    lut.LUTDescriptor = [4096, 0, 16]
    lut.ModalityLUTType = "US"
    lut.add_new("LUTData", "OW", np.arange(4095, -1, -1, dtype="<u2").tobytes())
    film = decode(dicom(RAMP, 12, ModalityLUTSequence=[lut]))
    assert difference(film.pixels, (4095 - RAMP) * (255 / 4095)) < 1e-3


def test_negative_slope_without_window_inverts() -> None:
    film = decode(dicom(RAMP, 12, RescaleSlope=-1, RescaleIntercept=4095))
    assert difference(film.pixels, 255 - RAMP * (255 / 4095)) < 1e-3


def test_monochrome1_is_inverted_once() -> None:
    plain = decode(dicom(RAMP, 12)).pixels
    one = decode(dicom(RAMP, 12, "MONOCHROME1", PresentationLUTShape="INVERSE"))
    assert difference(one.pixels, 255 - plain) < 1e-3
    windowed = {"WindowCenter": 2000, "WindowWidth": 1000}
    assert (
        difference(
            decode(dicom(RAMP, 12, "MONOCHROME1", **windowed)).pixels,
            255 - decode(dicom(RAMP, 12, **windowed)).pixels,
        )
        < 1e-3
    )


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_widen_the_range(photometric: str) -> None:
    padded = RAMP.copy()
    padded[:, :8] = 65535
    film = decode(dicom(padded, 16, photometric, PixelPaddingValue=65535))
    plain = decode(dicom(RAMP, 16, photometric))
    assert film.pixels[:, :8].max() == 0
    assert difference(film.pixels[:, 8:], plain.pixels[:, 8:]) < 1e-3


def test_a_film_of_padding_alone_is_black() -> None:
    film = decode(dicom(np.full((48, 64), 7, np.uint16), 12, PixelPaddingValue=7))
    assert film.pixels.max() == 0


def test_rgb() -> None:
    grey = (RAMP // 16).astype(np.uint8)
    film = decode(dicom(np.dstack([grey] * 3), photometric="RGB"))
    assert difference(film.pixels, grey) < 0.01
    assert (film.mode, film.colour) == ("RGB", 0)


def test_without_preamble() -> None:
    film = decode(dicom(RAMP, 12, header=False))
    assert difference(film.pixels, RAMP * (255 / 4095)) < 1e-3


def test_tags_hold_neither_names_nor_ids() -> None:
    film = decode(dicom(RAMP, 12))
    assert film.tags == {
        "Modality": "DX", "ViewPosition": "AP", "PatientAge": "003Y", "PatientSex": "F"
    }  # fmt: skip
    assert not any(word in repr(film) for word in ("Ada", "secret", "20200101"))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated(share: float) -> None:
    data = dicom(RAMP, 12)
    with pytest.raises(UnreadableFilm):
        decode(data[: int(len(data) * share)])


def test_refused_by_name() -> None:
    with pytest.raises(UnreadableFilm, match="several frames"):
        decode(dicom(RAMP, 12, NumberOfFrames=2))
    with pytest.raises(UnreadableFilm, match="High-Throughput"):  # no decoder here knows it
        decode(_encapsulated("1.2.840.10008.1.2.4.201"))
    with pytest.raises(UnreadableFilm):
        decode(_encapsulated("1.2.840.10008.1.2.4.70"))
    report = pydicom.dcmread(io.BytesIO(dicom(RAMP, 12)))
    for name in ("Rows", "Columns", "PixelData"):
        delattr(report, name)
    report.Modality = "SR"
    out = io.BytesIO()
    report.save_as(out)
    with pytest.raises(UnreadableFilm, match=r"without a picture \(modality SR\)"):
        decode(out.getvalue())


def _encapsulated(syntax: str) -> bytes:
    ds = pydicom.dcmread(io.BytesIO(dicom(RAMP, 12)))
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8" + bytes(100)])
    ds["PixelData"].VR = "OB"
    out = io.BytesIO()
    ds.save_as(out)
    return out.getvalue()


def test_too_large_is_refused_before_memory_is_spent() -> None:
    with pytest.raises(FilmTooLarge):
        decode(dicom(RAMP, 12, Rows=30_000, Columns=30_000))


def test_another_modality_is_plainly_no_film() -> None:
    assert "CT" in (plainly_no_film(decode(dicom(RAMP, 12, Modality="CT"))) or "")
    assert plainly_no_film(decode(dicom(RAMP, 12))) is None


@pytest.mark.films
def test_real_files(films_dir: Path) -> None:
    """8 bits without a window: shown as stored, the MONOCHROME1 twin inverted."""
    paths = sorted((films_dir / "dicom").glob("*.dcm"))
    assert paths
    for path in paths:
        film = decode(path)
        stored = pydicom.dcmread(path).pixel_array
        wanted = 255.0 - stored if film.mode == "MONOCHROME1" else stored
        assert difference(film.pixels, wanted) < 1e-3
        assert film.tags["Modality"] in {"CR", "DX"}
        assert plainly_no_film(film) is None
        assert preprocess(film, Preprocess()).std() > 30
