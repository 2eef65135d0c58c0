"""A bundle: a folder with a model and its card, whole and unchanged or refused.

`model.onnx` is the network, `card.json` says what it is (see `firstread.read.card`). The
card holds the model's sha256 and, in `sha256`, its own: taken over the card's text with
that one field empty. So a changed byte in either file is noticed, a shifted threshold as
well as a shifted weight.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstread.errors import BundleError, OutputError
from firstread.film.files import real
from firstread.film.leftovers import ASIDE, left_folders, part_of, stands_aside_for
from firstread.film.shortage import named, shortage
from firstread.read.card import Card

CARD_FILE = "card.json"
MODEL_FILE = "model.onnx"
SHIPPED = Path(__file__).parent / "shipped"
"""Where the bundle lies that comes with the package."""


@dataclass(frozen=True)
class Bundle:
    """A checked bundle. `sha256` is the card's own and stands for the whole bundle."""

    path: Path
    card: Card
    sha256: str

    @property
    def name(self) -> str:
        """The name its card gives it."""
        return self.card.name

    @property
    def onnx_path(self) -> Path:
        """The model file."""
        return self.path / self.card.onnx_file

    @classmethod
    def load(cls, path: Path | str | None = None) -> Bundle:
        """Check a bundle folder and load its card; None takes the one that is shipped.

        Raises `BundleError`, naming the file at fault, where something is missing, senseless
        or changed since it was written, and `Shortage`.
        """
        if path is None:
            if not (SHIPPED / CARD_FILE).is_file():
                raise BundleError("no bundle is shipped; give --bundle")
            path = SHIPPED
        folder = Path(path)
        if not folder.is_dir():
            if aside := _left_aside(real(folder)):
                raise BundleError(
                    f"{folder}: a process that was replacing this bundle was killed; write it "
                    f"again, or rename {aside}, which is the old one, to {folder}"
                )
            raise BundleError(
                f"{folder}: no such bundle folder; give --bundle a folder with "
                f"{CARD_FILE} and {MODEL_FILE}"
            )
        card_path = folder / CARD_FILE
        inside = folder / "bundle"
        if not card_path.is_file() and (inside / CARD_FILE).is_file():
            raise BundleError(f"{folder}: a training run, no bundle; name its bundle, {inside}")
        data = _read(card_path)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise BundleError(
                f"{card_path}: not a text file; copy the bundle again or export it anew"
            ) from None
        card = Card.from_json(text, str(card_path))
        digest = card.raw.get("sha256")
        if not isinstance(digest, str) or len(digest) != 64:
            raise BundleError(
                f"{card_path}: field sha256 is missing or no checksum; export the bundle again"
            )
        if _card_digest(text, digest) != digest:
            raise BundleError(
                f"{card_path}: changed since it was written (sha256 differs); "
                "copy the bundle again or export it anew"
            )
        bundle = cls(folder, card, digest)
        if _digest_of(bundle.onnx_path) != card.onnx_sha256:
            raise BundleError(
                f"{bundle.onnx_path}: changed since it was written (sha256 differs from the "
                "card's); copy the bundle again or export it anew"
            )
        return bundle


def _card_digest(text: str, digest: str) -> str:
    # Line ends may be rewritten by a version control system without a change of meaning.
    bare = text.replace("\r\n", "\n").replace(f'"sha256": "{digest}"', '"sha256": ""')
    return hashlib.sha256(bare.encode()).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BundleError(
            f"{path}: missing; a bundle holds {CARD_FILE} and its model, copy it again whole"
        ) from None
    except (OSError, MemoryError) as e:
        with named(path):
            raise shortage(e) or BundleError(
                f"{path}: cannot be read ({getattr(e, 'strerror', None)}); check the file and its "
                "permissions"
            ) from None


def _digest_of(path: Path) -> str:
    return hashlib.sha256(_read(path)).hexdigest()


def write_bundle(folder: Path | str, onnx_bytes: bytes, card: dict[str, Any]) -> Bundle:
    """Write a bundle folder whole or not at all, and return it loaded and checked.

    `onnx_bytes`: the serialised graph. `card`: the card's fields; "format", "onnx" and
    "sha256" are filled in here. An existing bundle in `folder` is replaced in one step; any
    other folder with files in it is left alone (`OutputError`). Raises `BundleError` if the
    card would not load, `OutputError` if the place cannot be written to. A link stays a link. What
    a killed process left beside the place of a bundle goes, or is put back at the place.
    """
    folder = Path(folder)
    fields = {key: value for key, value in card.items() if key != "sha256"}
    fields["format"] = 1
    fields["onnx"] = {"file": MODEL_FILE, "sha256": hashlib.sha256(onnx_bytes).hexdigest()}
    Card.from_dict(fields, CARD_FILE)
    # No NaN and no non-JSON value may slip in: such a card could never be read again.
    try:
        bare = json.dumps({**fields, "sha256": ""}, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as e:
        raise BundleError(f"{CARD_FILE}: cannot be written as JSON ({e}); mend the card") from None
    digest = hashlib.sha256(bare.encode()).hexdigest()
    text = json.dumps({**fields, "sha256": digest}, indent=2) + "\n"
    refuse_foreign(folder)
    try:
        target = real(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = part_of(target)
        fresh.mkdir()
    except OSError as e:
        raise _cannot_write(folder, e) from None
    try:
        _mend(target, fresh.stat().st_mtime)
        _write(fresh / MODEL_FILE, onnx_bytes)
        _write(fresh / CARD_FILE, text.encode())
        Bundle.load(fresh)
        _put_in_place(fresh, target)
    except OSError as e:
        raise _cannot_write(folder, e) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Bundle.load(folder)


def _cannot_write(folder: Path, e: OSError) -> OutputError:
    return OutputError(
        f"{folder}: the bundle cannot be written ({e.strerror or e}); "
        "choose a place with room that you may write to"
    )


def refuse_foreign(folder: Path) -> None:
    """Raise `OutputError` where `folder` is none that a bundle may be written to."""
    if folder.is_dir():
        others = {p.name for p in folder.iterdir()} - {MODEL_FILE, CARD_FILE}
        if others:
            raise OutputError(
                f"{folder}: holds other files ({sorted(others)[0]}); name a new folder for the "
                "bundle"
            )
    elif folder.exists():
        raise OutputError(f"{folder}: is a file; name a new folder for the bundle")


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def _put_in_place(fresh: Path, folder: Path) -> None:
    """Rename `fresh` to `folder`; an old bundle steps aside and comes back on failure."""
    if not folder.exists():
        fresh.rename(folder)
        return
    aside = fresh.with_name(fresh.name + ASIDE)
    try:
        folder.rename(aside)
        fresh.rename(folder)
    except BaseException:  # Ctrl-C too
        with contextlib.suppress(OSError):
            aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _left_aside(folder: Path) -> Path | None:
    """The old bundle of `folder` where a kill came between the two renames of `_put_in_place`."""
    left = left_folders(folder.parent, time.time())
    return next((path for path in left if stands_aside_for(path, folder)), None)


def _mend(folder: Path, now: float) -> None:
    """Take away what killed processes left of bundles beside `folder`; but an old one that stepped
    aside comes back where none is at its place. `now`: by the clock of the file system."""
    for left in left_folders(folder.parent, now):
        if left.name.endswith(ASIDE) and not stands_aside_for(left, folder):
            continue  # perhaps all there is of another bundle
        with contextlib.suppress(OSError):
            if {path.name for path in left.iterdir()} - {MODEL_FILE, CARD_FILE}:
                continue  # none of ours
            if left.name.endswith(ASIDE) and not folder.exists():
                left.rename(folder)
            else:
                shutil.rmtree(left, ignore_errors=True)
