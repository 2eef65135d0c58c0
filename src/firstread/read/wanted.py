"""What a user wants of a batch: the outputs, and how the films are to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import firstread
from firstread.errors import OutputError
from firstread.film.files import real
from firstread.read.bundle import Bundle
from firstread.read.outputs import check_folder, check_writable, files_of


@dataclass(frozen=True)
class Wanted:
    """What a batch is to give, and how its films are to be read.

    `json`, `jsonl`, `csv`, `html`: files. `overlays`, `pdf`, `dicom`, `fhir`: folders for one
    file or more a film. `anonymous`: of the DICOM results and FHIR. `stream`: the JSON Lines go to
    the terminal. `regions`: name the zones. `age`: the patients', in years.
    """

    json: Path | None = None
    jsonl: Path | None = None
    csv: Path | None = None
    html: Path | None = None
    overlays: Path | None = None
    pdf: Path | None = None
    dicom: Path | None = None
    fhir: Path | None = None
    anonymous: bool = False
    stream: bool = False
    regions: bool = False
    age: float | None = None

    @property
    def files(self) -> list[Path]:
        """The files, in the order in which they are looked at."""
        return [p for p in (self.json, self.jsonl, self.csv, self.html) if p is not None]

    @property
    def folders(self) -> list[Path]:
        """The folders."""
        return [p for p in (self.overlays, self.pdf, self.dicom, self.fhir) if p is not None]

    @property
    def named(self) -> list[tuple[Path, str]]:
        """The folders whose files bear the film's name, with the ending of those files."""
        places = ((self.overlays, ".png"), (self.pdf, ".pdf"), (self.fhir, ".json"))
        return [(folder, ending) for folder, ending in places if folder is not None]

    @property
    def heat(self) -> bool:
        """Whether the model's map is needed."""
        return self.regions or self.html is not None or bool(self.folders)

    @property
    def journal(self) -> Path | None:
        """Beside the first output; None where there is none, or only pipes and terminals."""
        for path in (*self.files, *self.folders):
            if not path.exists() or path.is_file() or path in self.folders:
                if path.is_symlink() and path in self.files:  # few may write beside /dev/stdout
                    path = real(path)
                return path.with_name(path.name + ".part") if path.name else path / "firstread.part"
        return None

    def check(self, given: Sequence[str], films: Sequence[Path]) -> None:
        """Raise now what would stand in the way at the end. `given`: as the user named them."""
        files = [*self.files, *filter(None, [self.journal])]
        places = [real(path) for path in (*files, *self.folders)]
        for i, path in enumerate(files):
            others = places[:i] + places[i + 1 :]
            if any(places[i] in (other, *other.parents) for other in others):
                raise OutputError(f"{path}: two outputs want this place; give each its own")
        known = files_of(films)
        for path in self.files:
            check_writable(path, known)
        for folder in self.folders:
            check_folder(folder)
            if any(real(folder) == real(g) for g in given):
                raise OutputError(f"{folder}: is a folder of films; name another one to write to")
        if self.anonymous and self.dicom is None and self.fhir is None:
            raise OutputError(
                "--anonymous is about DICOM results and FHIR; name a folder by --dicom or --fhir"
            )
        if self.dicom is not None:
            from firstread.read.dicom_out import require

            require()

    def header(self, bundle: Bundle, engine: str) -> Mapping[str, Any]:
        """What the entries of a batch depend on; another one starts anew."""
        return {
            "bundle": bundle.sha256,
            "engine": engine,
            "version of firstread": firstread.__version__,
            "choice of options": {
                "regions": self.regions,
                "age": self.age,
                "html": self.html is not None,
                "overlays": _text(self.overlays),
                "pdf": _text(self.pdf),
                "dicom": _text(self.dicom),
                "fhir": _text(self.fhir),
                "anonymous": self.anonymous,
            },
        }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
