"""Results as DICOM: an opinion on a film as a structured report and a secondary capture.

Both stand in the film's study, each in a series of ours, and refer to the film. Their UIDs are
derived from what was read and what came of it: the film's UID and pixels, the bundle, threshold and
decision, the version of firstread, every sentence of the report, and all that it takes over from
the film's header. So the same film read again by the same command gives the same files, which an
archive takes for what it has already; and another threshold, a patient or study that was corrected,
or another film under a UID used twice, gives others, since an archive would drop the second one
unseen.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import firstread
from firstread.errors import FilmError, FirstreadError, MissingExtra, UnreadableFilm
from firstread.film.decode import decode
from firstread.film.files import write_atomic
from firstread.film.quiet import quiet
from firstread.film.shortage import shortage
from firstread.read.dicom_out.own import is_anonymous, is_own
from firstread.read.opinion import REJECTED, Opinion

if TYPE_CHECKING:
    import pydicom

__all__ = ["is_anonymous", "is_own", "require", "write_results"]

HIDDEN = "No picture was made: the film's own pixels are marked as holding the patient's identity."
"""Said where an anonymous result has no picture."""


def require() -> None:
    """Raise `MissingExtra` now if results as DICOM could not be made after an hour of reading."""
    try:
        with quiet:
            import highdicom  # noqa: F401
    except ImportError:
        raise MissingExtra(
            "results as DICOM need the extra clinic: pip install 'firstread[clinic]'"
        ) from None


def write_results(
    opinion: Opinion, source: bytes, folder: Path, anonymous: bool = False
) -> list[Path]:
    """Write the report, and the capture where there is one, on a DICOM film; return their paths.

    `opinion`: with its heat map, unless it is "rejected". `source`: the bytes of the film's
    file. The files are named by their own UIDs, <uid>.dcm, and are all written or none. A
    rejected film gets a report only: there is no map of it that anyone should look at. So does,
    with `anonymous`, a film whose pixels are marked as holding the patient's identity.

    Raises `MissingExtra`, `OutputError`, `Shortage`, `UnreadableFilm` where the bytes are no DICOM
    film or nothing could refer to it, and `ValueError` where the opinion lacks its heat map.
    """
    require()
    if opinion.heat is None and opinion.decision != REJECTED:
        raise ValueError("the opinion has no heat map; read the film with heat=True")
    try:
        made = results(opinion, source, anonymous)
    except FirstreadError:
        raise
    except Exception as e:  # pydicom and highdicom raise nearly anything on a broken header
        raise shortage(e) or UnreadableFilm(
            f"its DICOM header allows no results ({type(e).__name__}); export it again"
        ) from None
    paths = [folder / f"{ds.SOPInstanceUID}.dcm" for ds in made]
    for path in paths:
        if path.is_symlink():  # writing would follow it, out of the folder
            path.unlink()
    fresh = [path for path in paths if not path.exists()]
    try:
        for path, ds in zip(paths, made, strict=True):
            write_atomic(path, _to_bytes(ds))
    except BaseException:
        for path in fresh:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        raise
    return paths


def results(opinion: Opinion, source: bytes, anonymous: bool = False) -> list[pydicom.Dataset]:
    """The datasets that `write_results` writes: report first, then the capture if there is one."""
    from firstread.read.dicom_out.sc import burned_in, capture, history
    from firstread.read.dicom_out.source import read_header, source_of
    from firstread.read.dicom_out.sr import report, sentences
    from firstread.read.dicom_out.uids import derive, result_key

    header = read_header(source)
    if anonymous:
        opinion = opinion.anonymous()
    with quiet:
        about = source_of(header, anonymous)
        hidden = anonymous and burned_in(header) == "YES" and opinion.decision != REJECTED
        remarks = (HIDDEN,) if hidden else ()
        size = _size(header)
        key = (
            *result_key(opinion, str(about.SOPInstanceUID), anonymous),
            firstread.__version__,
            *sentences(opinion, remarks),
            str(size),
            *(f"{element.keyword}={element.value}" for element in about),
        )
        study = (str(about.StudyInstanceUID), opinion.bundle, opinion.bundle_sha256)
        uids = derive("sr series", *study), derive("sr", *key)
        made = [report(opinion, about, size, *uids, remarks)]
        if opinion.decision != REJECTED and not hidden:
            try:
                film = decode(source)
            except FilmError as e:
                raise UnreadableFilm(f"the film's pixels cannot be drawn: {e}") from None
            past = history(header)
            more = (f"{name}={value}" for name, value in past.items())
            uids = derive("sc series", *study), derive("sc", *key, *more)
            made.append(capture(opinion, film, past, about, *uids))
    return made


def _size(header: pydicom.Dataset) -> tuple[int, int] | None:
    rows, columns = header.get("Rows"), header.get("Columns")
    if isinstance(rows, int) and isinstance(columns, int) and rows > 0 and columns > 0:
        return rows, columns
    return None


def _to_bytes(ds: pydicom.Dataset) -> bytes:
    out = io.BytesIO()
    with quiet:
        ds.save_as(out, enforce_file_format=True)
    return out.getvalue()
