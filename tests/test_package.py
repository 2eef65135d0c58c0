"""What `import firstread` offers, and what it does not wait for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import firstread
from firstread.errors import FirstreadError
from firstread.read.opinion import Opinion
from firstread.read.reader import Reader


def test_its_names_are_those_of_the_rooms_and_are_listed() -> None:
    assert (firstread.Reader, firstread.Opinion) == (Reader, Opinion)
    assert firstread.FirstreadError is FirstreadError
    assert set(firstread.__all__) <= set(dir(firstread))
    assert all(hasattr(firstread, name) for name in firstread.__all__)


def test_another_name_is_none() -> None:
    with pytest.raises(AttributeError, match="no attribute 'raeder'"):
        firstread.raeder  # noqa: B018


def test_a_type_checker_takes_no_other_name_for_one_of_ours() -> None:
    """It does where it sees a module's own `__getattr__`."""
    tree = ast.parse(Path(firstread.__file__).read_text(encoding="utf-8"))
    assert "__getattr__" not in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}


def test_it_imports_nothing_before_it_is_asked() -> None:
    code = "import sys, firstread; dir(firstread); print([m for m in sys.modules if 'numpy' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
