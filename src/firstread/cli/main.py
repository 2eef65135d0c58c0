"""The command line: which verb, and what becomes of its errors.

Verbs are named in a list here, and a verb's module is imported only when it is asked for:
`firstread --help` shall not wait for a network library. Whatever goes wrong ends in one
line on stderr that says what to do; the traceback is for `--debug`.

Exit codes: 0 done; 1 done, but some films failed or a check found leaks; 2 nothing could
be done; 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Protocol, cast

from firstread import __version__
from firstread.errors import FirstreadError, OutputError
from firstread.terminal import say

VERBS = (
    ("data", "get, check and split films"),
    ("train", "train a model from a recipe"),
    ("tune", "search for a better recipe"),
    ("evaluate", "judge a run or a bundle on labelled films"),
    ("compare", "hold several runs against each other"),
    ("export", "turn a run into a bundle"),
    ("lungs", "draw lung masks of films; judge or remake the lung net"),
    ("read", "give an opinion on films"),
    ("node", "listen for films from an archive, and send the results back"),
    ("onboard", "judge and set the model on a clinic's own films"),
)
"""Each verb is a module of `firstread.cli` with HELP, add_arguments(parser), run(args)."""

IN_TRAIN = "kagglehub lightning onnx onnxscript optuna safetensors tensorboard torch"
"""Packages that the extra `train` brings, and the base install is without."""

NO_PLACE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
"""Errors of a path that leads nowhere, to the wrong kind of thing, or in a circle."""

NOTICE = "Not a medical device. Trained on films of children of one to five years."


_interrupts: list[int] = []
"""The signals of Ctrl-C that came."""


class Verb(Protocol):
    """What a verb's module offers."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run firstread with `argv` (None: the process's own) and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug, arguments = _take_debug(arguments)
    reading = argv is None and arguments[:1] == ["read"]
    if argv is None:
        _prepare_process(debug)
        if reading:
            # What is imported stays, and looking through it for garbage again and again delays
            # the first opinion.
            gc.set_threshold(50_000, 20, 20)
    code = _guarded(arguments, debug)
    try:
        if sys.stdout is not None:  # nobody has closed it before
            sys.stdout.flush()
    except BrokenPipeError:
        _stop_printing()
    except OSError as e:  # stdout sent to a disk that is full
        if code != 2:  # else it was told: what could not be printed stays to be printed
            say(_os_error(e))
        _stop_printing()
        code = 2
    if reading and "matplotlib" not in sys.modules:
        # Everything is written. Taking the process apart piece by piece would be a good part of
        # the time that the first opinion of a fresh process takes. But where there is no home to
        # write to, matplotlib takes away its temporary folder only then.
        with contextlib.suppress(AttributeError, OSError, ValueError):  # no stderr, or a full one
            sys.stderr.flush()
        os._exit(code)
    if argv is None:
        gc.freeze()  # else the last look for garbage goes through all of torch, for a second
    return code


def _guarded(arguments: list[str], debug: bool) -> int:
    try:
        return _run(arguments)
    except SystemExit as e:  # argparse: --help, --version, a wrong argument
        return e.code if isinstance(e.code, int) else 2
    except KeyboardInterrupt:
        _trace(debug)
        say("interrupted")
        return 130
    except BrokenPipeError:
        _stop_printing()
        return 0
    except Exception as e:
        _trace(debug)
        if _interrupts and isinstance(e, ImportError):  # a module in C made this of the interrupt
            say("interrupted")
            return 130
        say(_in_words(e, arguments))
        return 2


def _in_words(e: Exception, arguments: list[str]) -> str:
    if isinstance(e, FirstreadError):
        return str(e)
    if isinstance(e, ModuleNotFoundError):
        return _missing(e, arguments)
    if isinstance(e, OSError):
        return _os_error(e)
    if isinstance(e, MemoryError):
        return "out of memory; use a smaller batch or size, or a larger machine"
    return f"unexpected error ({type(e).__name__}: {e}); run again with --debug"


def _run(arguments: list[str]) -> int:
    parser = _parser(next((a for a in arguments if not a.startswith("-")), None))
    args = parser.parse_args(arguments)
    if args.verb is None:
        parser.print_help(sys.stderr)
        return 2
    for option in ("json", "csv", "html"):
        if str(getattr(args, option, None)) == "-":
            raise OutputError(f"--{option} -: standard output gets no such file; name one")
    return _verb(args.verb).run(args)


def _verb(name: str) -> Verb:
    return cast(Verb, importlib.import_module(f"firstread.cli.{name}"))


def _parser(asked: str | None) -> argparse.ArgumentParser:
    """The parser, with the arguments of the one verb `asked` for filled in."""
    parser = argparse.ArgumentParser(
        prog="firstread",
        description="An open first reader for pneumonia on chest X-rays.",
        epilog=NOTICE,
        allow_abbrev=False,
    )
    version = f"firstread {__version__}"
    parser.add_argument(
        "--version", action="version", version=version, help="show the version and exit"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for name, line in VERBS:
        sub = verbs.add_parser(name, help=line, epilog=NOTICE, allow_abbrev=False)
        if name == asked:
            verb = _verb(name)
            sub.description = verb.HELP
            verb.add_arguments(sub)
    return parser


def _take_debug(arguments: list[str]) -> tuple[bool, list[str]]:
    """Take `--debug` out wherever it stands, before or after the verb, up to a bare `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    rest = [a for a in arguments[:end] if a != "--debug"]
    return len(rest) < end, rest + arguments[end:]


def _interrupted(number: int, frame: FrameType | None) -> None:
    _interrupts.append(number)
    signal.default_int_handler(number, frame)


def _prepare_process(debug: bool) -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        with contextlib.suppress(ValueError):  # in a thread of somebody's program
            signal.signal(signal.SIGINT, _interrupted)
    for stream in (sys.stdout, sys.stderr):
        # A file name the terminal cannot show must not end the run.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    if not debug:
        _keep_stderr()
    if not debug and not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")  # libraries' remarks to programmers


def _keep_stderr() -> None:
    """Keep stderr for what firstread says.

    Libraries in C (of TIFF, JPEG, DICOM) write their remarks on a broken film past Python, to
    descriptor 2: that now leads nowhere, and `sys.stderr` has a descriptor of its own. Where it was
    closed, no file that is opened later may get its number.
    """
    if sys.stderr is None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        return
    try:
        if sys.stderr.fileno() != 2:  # somebody else has parted them already
            return
    except (AttributeError, OSError, ValueError):  # no real file behind it
        return
    own = os.fdopen(os.dup(2), "w", 1, sys.stderr.encoding, "backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = own


def _missing(error: ModuleNotFoundError, arguments: list[str]) -> str:
    package = (error.name or "").split(".")[0]
    verb = next((a for a in arguments if not a.startswith("-")), "this")
    if package in IN_TRAIN.split():
        return (
            f"{verb} needs {package}, which is not installed; "
            "pip install 'firstread[train]', or in a checkout scripts/setup.sh test"
        )
    if package == "fcntl":
        return f"{verb} needs POSIX file locks, which Windows lacks; run it on Linux or macOS"
    return f"{verb} needs a module that is missing ({error}); run with --debug"


def _os_error(e: OSError) -> str:
    place = f"{e.filename}: " if e.filename else ""
    if e.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"{place}the disk is full; free space or choose another place"
    if e.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{place}not permitted; check the permissions or choose another place"
    if e.errno in NO_PLACE:
        return f"{place}{(e.strerror or str(e)).lower()}; check the path"
    return f"{place}{e.strerror or e}; run again with --debug"


def _trace(debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()


def _stop_printing() -> None:
    """Point stdout at nothing, so that the interpreter's last flush stays quiet too."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # no real file behind stdout
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115


if __name__ == "__main__":
    sys.exit(main())
