"""The set-up files fit together: pins, dependencies and scripts."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
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


def test_the_source_archive_holds_what_the_repository_does(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    made = (".*_cache", "__pycache__", "*.egg-info", ".venv*", ".git", "build", "dist")
    local = ("runs", "scratch", "demo-out")  # what git ignores
    copy = shutil.copytree(ROOT, tmp_path / "copy", ignore=shutil.ignore_patterns(*made, *local))
    wanted = {p.relative_to(copy).as_posix() for p in copy.rglob("*") if p.is_file()}
    code = "import setuptools.build_meta as b; print(b.build_sdist('..'))"
    subprocess.run([sys.executable, "-c", code], cwd=copy, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        held = {m.name.split("/", 1)[1] for m in archive.getmembers() if m.isfile()}
    assert wanted - held == set()
    assert {"constraints.txt", "tests/conftest.py", "docs/reference.md"} <= wanted


FAKE_PYTHON = """#!/bin/bash
# Makes an environment whose pip notes what it is told, and installs a command `firstread`.
case "$*" in
    --version) echo "Python 3.12.0" ;;
    "-c import os, firstread"*) [ ! -e copied ] ;;
    "-m venv"*)
        trap 'echo "Traceback (most recent call last):" >&2; exit 1' INT
        [ "${FAKE:-}" != slow ] || { touch begun; sleep 30 & wait $!; }
        [ "${FAKE:-}" != full ] || { printf 'Traceback:\\nOSError: disk full\\n' >&2; exit 1; }
        mkdir -p .venv/bin && cp "$0" .venv/bin/python
        { echo "#!/bin/bash"; echo "# $(pwd -P)/.venv/"; declare -f pip; echo 'pip "$@"'; } \
            >.venv/bin/pip
        chmod +x .venv/bin/pip ;;
esac
"""
FAKE_PIP = """pip() {
    [[ "$*" == *install* ]] || return 0
    env >>pip-env
    rm -f copied
    [ "${FAKE:-}" != offline ] || { echo "ERROR: no such thing" >&2; return 1; }
    printf '#!/bin/sh\\nexit 0\\n' >.venv/bin/firstread
    chmod +x .venv/bin/firstread
}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files of the set-up alone, with a Python that installs nothing."""
    for name in ("setup.sh", "install_torch.sh"):
        (tmp_path / "scripts").mkdir(exist_ok=True)
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts" / name)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    first, rest = FAKE_PYTHON.split("\n", 1)
    (tmp_path / "fake-python").write_text(f"{first}\n{FAKE_PIP}{rest}")
    (tmp_path / "fake-python").chmod(0o755)
    return tmp_path


def set_up(checkout: Path, **more: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHON": str(checkout / "fake-python")} | more
    script = str(checkout / "scripts" / "setup.sh")
    return subprocess.run([script, "base"], env=env, capture_output=True, text=True, check=False)


def test_an_environment_that_no_longer_starts_is_made_again(checkout: Path) -> None:
    assert set_up(checkout).returncode == 0
    command = checkout / ".venv" / "bin" / "firstread"
    (checkout / "pip-env").unlink()
    assert set_up(checkout).returncode == 0
    assert not (checkout / "pip-env").exists()  # nothing to do
    command.write_text("#!/nowhere/python\n")  # of a Python that was removed
    done = set_up(checkout)
    assert done.returncode == 0, done.stderr
    assert command.read_text() == "#!/bin/sh\nexit 0\n"


def test_a_copy_of_the_package_makes_way_for_the_checkout(checkout: Path) -> None:
    """As `pip install .` puts it there: what is changed here later would not be seen."""
    assert set_up(checkout).returncode == 0
    (checkout / "copied").touch()
    assert set_up(checkout).returncode == 0
    assert not (checkout / "copied").exists()


def test_what_the_shell_has_set_for_other_work_is_left_out(checkout: Path) -> None:
    other = {"PYTHONPATH": "/a", "PYTHONWARNINGS": "error", "PIP_TARGET": "/b", "PIP_PREFIX": "/c"}
    assert set_up(checkout, PIP_USER="1", PIP_CERT="mine", **other).returncode == 0
    seen = dict(
        line.split("=", 1)
        for line in (checkout / "pip-env").read_text().splitlines()
        if "=" in line
    )
    assert not other.keys() & seen.keys()
    assert seen["PIP_USER"] == "0"
    assert seen["PIP_CERT"] == "mine"  # how pip gets at packages is the machine's


@pytest.mark.parametrize(
    ("how", "said"), [("offline", "firstread is not installed"), ("full", "OSError: disk full")]
)
def test_a_set_up_that_fails_ends_in_a_line_of_its_own(checkout: Path, how: str, said: str) -> None:
    done = set_up(checkout, FAKE=how)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("setup: ")
    assert said in last
    assert "Traceback" not in done.stderr
    assert not list((checkout / ".venv").glob("firstread-setup*"))
    assert set_up(checkout).returncode == 0


def test_an_interrupt_of_the_set_up_shows_no_traceback(checkout: Path) -> None:
    env = os.environ | {"PYTHON": str(checkout / "fake-python"), "FAKE": "slow"}
    script = str(checkout / "scripts" / "setup.sh")
    running = subprocess.Popen(
        [script, "base"], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    end = time.monotonic() + 30
    while not (checkout / "begun").exists() and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)  # as Ctrl-C does
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert errors == "setup: interrupted; the same command goes on\n"
