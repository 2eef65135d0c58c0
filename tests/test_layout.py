"""The shape of the repository: rooms import earlier rooms, files stay short, no film inside."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import firstread

ROOT = Path(__file__).parents[1]
PACKAGE = Path(firstread.__file__).parent
ROOMS = ["film", "read", "cohort", "model", "evaluate", "train", "clinic", "scale", "cli"]
"""In order: a room may import rooms before it."""

LIGHT = ["film", "read", "cohort", "evaluate", "clinic.onboard", "cli.main"]
HEAVY = {"torch", "onnx", "sklearn", "lightning", "scipy", "pandas"}
LONGEST = 350
PICTURES = {".jpeg", ".jpg", ".png", ".tif", ".tiff", ".bmp", ".dcm", ".dicom", ".gif", ".webp"}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    """The room a source file lies in; "" for the few files beside the rooms."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def imported_rooms(path: Path) -> set[str]:
    """Rooms a file imports, anywhere in it, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(PACKAGE.parent).with_suffix("").parts
            base = list(package[: -node.level]) if node.level else []
            module = ".".join(base + ([node.module] if node.module else []))
            names.update(f"{module}.{alias.name}" for alias in node.names)
    rooms = {name.split(".")[1] for name in names if name.startswith("firstread.")}
    return rooms & set(ROOMS)


def tracked() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    return [Path(name) for name in done.stdout.split("\0") if name]


def test_every_folder_is_a_room() -> None:
    assert {room_of(path) for path in sources()} - {""} <= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_earlier_rooms(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    wrong = {
        str(path.relative_to(PACKAGE)): sorted(imported_rooms(path) - allowed)
        for path in sources()
        if room_of(path) == room and not imported_rooms(path) <= allowed
    }
    assert not wrong


def test_light_rooms_import_without_torch() -> None:
    """The base install has none of these, and a first opinion must not wait for them."""
    modules = [f"firstread.{name}" for name in LIGHT if _exists(name)]
    code = f"import sys, {', '.join(modules)}\nprint(*{{n.split('.')[0] for n in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def _exists(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_source_files_are_short() -> None:
    lengths = {p: len((ROOT / p).read_text(encoding="utf-8").splitlines()) for p in _tracked_py()}
    assert not {str(path): n for path, n in lengths.items() if n > LONGEST}


def _tracked_py() -> list[Path]:
    return [
        p for p in tracked()
        if p.parts[0] == "src" and p.suffix == ".py" and (ROOT / p).is_file()
    ]  # fmt: skip


def test_no_picture_is_tracked_outside_samples_and_docs() -> None:
    """No real film is ever in the repository; synthetic samples and docs pictures may be."""
    allowed = ("src/firstread/samples/", "docs/")
    pictures = [p.as_posix() for p in tracked() if p.suffix.lower() in PICTURES]
    assert not [name for name in pictures if not name.startswith(allowed)]
