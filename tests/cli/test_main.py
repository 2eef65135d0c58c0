import argparse
import errno
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from firstread import __version__
from firstread.cli import main as cli
from firstread.cli.data import SUB_VERBS
from firstread.errors import NoFilms


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], None]:
    """Put a verb in the place of `compare` that does what it is given."""

    def put(what: Callable[[], int]) -> None:
        module = types.ModuleType("firstread.cli.compare")
        module.HELP = "Do something."  # type: ignore[attr-defined]
        module.add_arguments = lambda parser: parser.add_argument("--n", type=int)  # type: ignore[attr-defined]

        def run(args: argparse.Namespace) -> int:
            return what()

        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "firstread.cli.compare", module)

    return put


def raising(error: BaseException) -> Callable[[], int]:
    def run() -> int:
        raise error

    return run


def test_help_names_every_verb_and_imports_none() -> None:
    code = (
        "import sys; from firstread.cli.main import main; assert main(['--help']) == 0;"
        "heavy = ('numpy', 'PIL', 'onnxruntime', 'firstread.cli.read');"
        "assert not [m for m in heavy if m in sys.modules]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in ("data", "train", "tune", "evaluate", "compare", "export", "read"):
        assert name in done.stdout
    assert "Not a medical device" in done.stdout


def test_a_process_ends_without_a_last_look_for_garbage() -> None:
    code = (
        "import gc, sys; from firstread.cli.main import main;"
        "sys.argv = ['firstread', '--version'];"
        "main(); assert gc.get_freeze_count() > 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "verb",
    [
        *([name] for name, _ in cli.VERBS),
        *(["data", name] for name in SUB_VERBS),
        *(["lungs", name] for name in ("draw", "evaluate", "train")),
    ],
    ids=" ".join,
)
def test_every_help_says_what_this_is_not(
    verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*verb, "--help"]) == 0
    assert " ".join(capsys.readouterr().out.split()).endswith(cli.NOTICE)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


def test_the_package_is_a_command_too() -> None:
    command = [sys.executable, "-m", "firstread"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert __version__ in done.stdout
    done = subprocess.run([*command, "reed"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "reed" in done.stderr


@pytest.mark.parametrize("argv", [[], ["reed"], ["--nonsense"], ["compare", "--n", "x"]])
def test_wrong_arguments(
    argv: list[str], verb: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    verb(lambda: 0)
    assert cli.main(argv) == 2
    assert "firstread" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ["read", "x", "--js", "o"],
        ["data", "split", "x", "--ou", "o"],
        ["lungs", "draw", "x", "--ou"],
    ],
    ids=lambda argv: argv[0],
)
def test_an_option_is_written_out(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    # A longer name that a later version brings would change what a shortened one means.
    assert cli.main(argv) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1])
def test_the_verbs_code_is_ours(code: int, verb: Callable[..., None]) -> None:
    verb(lambda: code)
    assert cli.main(["compare"]) == code


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (NoFilms("x: nothing here;\n look elsewhere"), 2, "x: nothing here; look elsewhere"),
        (NoFilms("\x1b[2J\x07\udcff.png: none"), 2, "firstread: ?[2J?\\udcff.png: none"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left", "out"), 2, "out: the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "out"), 2, "out: not permitted"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a"), 2, "a: file name too long; check"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a/b"), 2, "check the path"),
        (ModuleNotFoundError("no", name="torch.nn"), 2, "pip install 'firstread[train]'"),
        (ModuleNotFoundError("no", name="fcntl"), 2, "run it on Linux or macOS"),
        (ModuleNotFoundError("no", name="elsewhere"), 2, "missing"),
        (MemoryError(), 2, "out of memory"),
        (ZeroDivisionError("oops"), 2, "unexpected error (ZeroDivisionError: oops); run again"),
    ],
)
def test_every_error_is_one_line(
    error: BaseException,
    code: int,
    says: str,
    verb: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    verb(raising(error))
    assert cli.main(["compare"]) == code
    err = capsys.readouterr().err
    assert err.startswith("firstread: ")
    assert says in err
    assert err.count("\n") == 1


def test_an_interrupt_that_a_module_in_c_took_for_an_error_is_one() -> None:
    """As those of numpy and onnxruntime do while they are imported, which takes a second."""
    code = """
import signal, sys, types
from firstread.cli.main import main

def run(args):
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise ImportError("initialization failed") from None

verb = types.ModuleType("compare")
verb.HELP, verb.add_arguments, verb.run = "Do.", lambda parser: None, run
sys.modules["firstread.cli.compare"] = verb
sys.argv = ["firstread", "compare"]
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "firstread: interrupted\n")


@pytest.mark.parametrize("argv", [["--debug", "compare"], ["compare", "--n", "1", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(
    argv: list[str], verb: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    verb(raising(NoFilms("nothing")))
    assert cli.main(argv) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("firstread: nothing\n")


def test_debug_after_two_dashes_is_a_file() -> None:
    assert cli._take_debug(["read", "--", "--debug"]) == (False, ["read", "--", "--debug"])


def test_a_closed_pipe_is_quiet() -> None:
    code = "import sys; from firstread.cli.main import main; sys.exit(main(['--help']))"
    shell = f'"{sys.executable}" -c "{code}" | true'
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.parametrize("option", ["--json", "--csv", "--html"])
def test_no_file_is_called_as_standard_output_is(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["read", ".", option, "-"]) == 2
    assert f"{option} -: standard output gets no such file" in capsys.readouterr().err
    if option != "--csv":
        assert cli.main(["data", "check", ".", option, "-"]) == 2
        assert f"{option} -: standard output gets no such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
