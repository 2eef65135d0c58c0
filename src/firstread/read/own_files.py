"""The files that a film gets of its own: overlay, page, DICOM results, FHIR bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from firstread.errors import FilmError, FirstreadError
from firstread.film.files import write_atomic
from firstread.film.shortage import shortage
from firstread.read.bundle import Bundle
from firstread.read.judged import Judged
from firstread.read.opinion import REJECTED, Opinion
from firstread.read.wanted import Wanted

T = TypeVar("T")


class Made(NamedTuple):
    """What was made of a film. `files`: all of them. `overlay`: the one that outputs name, or
    None. `trouble`: why a result that was asked for could not be made, or None.
    """

    files: tuple[Path, ...]
    overlay: Path | None
    trouble: str | None


class OwnFiles:
    """Writes a film's own files, those that are `wanted`, of opinions by `bundle`.

    `note`: what the user should know besides.
    """

    def __init__(self, wanted: Wanted, bundle: Bundle, note: Callable[[str], None]):
        self.wanted, self.bundle, self.note = wanted, bundle, note
        self._said_no_dicom = False

    def write(self, opinion: Opinion, stem: str | None, film: Judged | None) -> Made:
        """Write the files of one film; None of it is left half written.

        `stem`: what those named by the film are called, without an ending. `film`: the one that
        the opinion is on, for results that refer to it. Raises `OutputError`; what is odd about
        the film is in `trouble`.
        """
        wanted, files = self.wanted, []
        overlay = None
        drawn = opinion.heat is not None and opinion.decision != REJECTED
        if wanted.overlays is not None and drawn:
            overlay = wanted.overlays / f"{stem}.png"
            _put(overlay, _overlay(opinion))
            files.append(overlay)
        if wanted.pdf is not None:
            from firstread.read.pdf import opinion_pdf

            page = wanted.pdf / f"{stem}.pdf"
            _put(page, opinion_pdf(opinion, self.bundle))
            files.append(page)
        if film is None or _is_no_film(opinion):
            return Made(tuple(files), overlay, None)
        data, why = self._tried("DICOM results or FHIR", opinion, film.again)
        troubles = [why]
        if data is not None and wanted.dicom is not None:
            made, why = self._tried("DICOM results", opinion, lambda: self._dicom(opinion, data))
            files += made or []
            troubles.append(why)
        if data is not None and wanted.fhir is not None:
            place = wanted.fhir / f"{stem}.json"
            made, why = self._tried("FHIR", opinion, lambda: self._fhir(opinion, data, place))
            files += made or []
            troubles.append(why)
        return Made(tuple(files), overlay, "; ".join(filter(None, troubles)) or None)

    def _tried(
        self, what: str, opinion: Opinion, make: Callable[[], T]
    ) -> tuple[T | None, str | None]:
        """What is made, or why it could not be of this film."""
        try:
            return make(), None
        except FilmError as e:
            why = str(e)
        except (FirstreadError, OSError):
            raise
        except Exception as e:  # whatever is odd about one film, the next must get its turn
            if short := shortage(e):
                raise short from None
            why = f"cannot be made from it ({type(e).__name__})"
        self.note(f"{opinion.file}: no {what}: {why}")
        return None, why

    def _dicom(self, opinion: Opinion, data: bytes) -> list[Path]:
        """The film's DICOM results; films that are not DICOM are mentioned once."""
        from firstread.film.decode import looks_like_dicom
        from firstread.read.dicom_out import write_results

        assert self.wanted.dicom is not None
        if looks_like_dicom(data):
            return write_results(opinion, data, self.wanted.dicom, self.wanted.anonymous)
        if not self._said_no_dicom:
            self._said_no_dicom = True
            self.note(f"{opinion.file}: not DICOM, so it gets no DICOM results (said once)")
        return []

    def _fhir(self, opinion: Opinion, data: bytes, place: Path) -> list[Path]:
        from firstread.read.fhir import opinion_fhir

        _put(place, opinion_fhir(opinion, self.bundle, data, self.wanted.anonymous))
        return [place]


def _is_no_film(opinion: Opinion) -> bool:
    """Whether it was a result of ours or a document: a report about a report helps nobody."""
    if opinion.decision != REJECTED:
        return False
    from firstread.film.dicom import NO_PICTURE, OWN_RESULT

    return any(why.startswith((OWN_RESULT, NO_PICTURE)) for why in opinion.reasons)


def _overlay(opinion: Opinion) -> bytes:
    from firstread.read.overlay import overlay_at_aspect

    assert opinion.pixels is not None
    assert opinion.heat is not None
    return overlay_at_aspect(opinion.pixels, opinion.heat, opinion.lungs, opinion.picture_aspect)


def _put(path: Path, data: bytes) -> None:
    """Write a file of the folder asked for: a link that lies in its place is not followed."""
    if path.is_symlink():
        path.unlink()
    write_atomic(path, data)
