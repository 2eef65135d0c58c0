"""The set-up files fit together: pins, dependencies and scripts."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
SCRIPTS = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        texts += extra
    return [Requirement(text) for text in texts]


def test_constraints_hold_versions_only() -> None:
    for name, version in pins().items():
        assert name == canonicalize_name(name)
        assert re.fullmatch(r"[0-9]+(\.[0-9]+)*", version), f"{name}=={version}"


@pytest.mark.parametrize("requirement", wanted(), ids=lambda r: r.name)
def test_every_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    version = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_scripts_run_and_name_no_host(script: Path) -> None:
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    assert "://" not in script.read_text()


def test_an_unsupported_python_is_refused_in_one_line() -> None:
    # Only the part that looks for Python is run, with `false` in the place of one.
    script = (ROOT / "scripts" / "setup.sh").read_text()
    finder = script[script.index("usable()") : script.index("python=.venv")]
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{finder}\nfind_python"],
        env={**os.environ, "PYTHON": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "3.11 to 3.13" in done.stderr


def test_a_python_in_a_folder_with_a_space_is_found(tmp_path: Path) -> None:
    script = (ROOT / "scripts" / "setup.sh").read_text()
    finder = script[script.index("usable()") : script.index("python=.venv")]
    mine = tmp_path / "my python" / "python"
    mine.parent.mkdir()
    mine.symlink_to(sys.executable)
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{finder}\nfind_python"],
        env={**os.environ, "PYTHON": str(mine)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, str(mine)), done.stderr


def test_an_environment_that_was_copied_is_made_again(tmp_path: Path) -> None:
    """Its pip names the place it was copied from, and would install there."""
    script = (ROOT / "scripts" / "setup.sh").read_text()
    asked = script[script.index("if ! { usable") : script.index("rm -f")]
    steps = "usable() { true; }; python=p; find_python() { echo made-anew >&2; exit 7; }\n"
    pip = tmp_path / ".venv" / "bin" / "pip"
    pip.parent.mkdir(parents=True)
    for place, code in ((tmp_path, 0), (tmp_path / "original", 7)):
        pip.write_text(f"#!/bin/sh\n# {place.resolve()}/.venv/bin/python\nexit 0\n")
        pip.chmod(0o755)
        done = subprocess.run(
            ["bash", "-c", f"set -euo pipefail\n{steps}{asked}"], cwd=tmp_path, check=False
        )
        assert done.returncode == code
