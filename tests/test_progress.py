"""How far long work is: one line on a terminal, a line now and then elsewhere, nothing of short."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstread import terminal
from firstread.cli.main import main
from firstread.cohort.synthetic import write_folder
from firstread.progress import BytesLine, ProgressLine, counted, in_words


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def shown(out: io.StringIO, clock: Clock, seconds: float, total: int = 1000) -> str:
    """What is shown of work on `total` films that takes so long."""
    line = ProgressLine("read", stream=out, clock=clock)
    for done in range(total + 1):
        clock.now = seconds * done / total
        line(done, total)
    return out.getvalue()


def test_on_a_terminal_one_line_is_written_over(clock: Clock) -> None:
    said = shown(Terminal(), clock, 60.0)
    assert said.count("\n") == 1
    assert said.endswith("\rread: 1,000 of 1,000 films\n")
    assert 200 < said.count("\r") <= 300


def test_in_a_log_there_is_a_line_for_each_tenth(clock: Clock) -> None:
    lines = shown(io.StringIO(), clock, 3600.0).splitlines()
    assert lines[0] == "read: 3 of 1,000 films"  # that it goes on at all is told early
    assert lines[1:] == [f"read: {n}00 of 1,000 films" for n in range(1, 10)] + [
        "read: 1,000 of 1,000 films"
    ]


def test_a_log_is_not_written_to_more_often_than_every_ten_seconds(clock: Clock) -> None:
    assert len(shown(io.StringIO(), clock, 30.0).splitlines()) == 3
    assert shown(io.StringIO(), clock, 9.0) == ""


def test_what_ends_soon_says_nothing(clock: Clock) -> None:
    assert shown(Terminal(), clock, 1.9) == ""


def test_what_was_asked_for_early_begins_with_its_first_film(clock: Clock) -> None:
    out = io.StringIO()
    line = ProgressLine("headers", stream=out, clock=clock)
    clock.now = 500.0
    for done in range(5):
        line(done, 4)
    assert out.getvalue() == ""


def test_an_end_is_told_once(clock: Clock) -> None:
    out = Terminal()
    line = ProgressLine("recalibrating", "draws", stream=out, clock=clock)
    clock.now = 5.0
    for done in (1, 2, 2, 2):
        line(done, 2)
    line.close()
    assert out.getvalue() == "\rrecalibrating: 1 of 2 draws\rrecalibrating: 2 of 2 draws\n"


def test_other_lines_do_not_stand_in_the_one_that_moves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, clock = Terminal(), Clock()
    monkeypatch.setattr(sys, "stderr", out)
    line = ProgressLine("read", clock=clock)
    clock.now = 5.0
    line(1, 9)
    terminal.say("it broke")
    assert out.getvalue() == "\rread: 1 of 9 films\nfirstread: it broke\n"
    line(2, 9)
    clock.now = 6.0
    line(2, 9)
    terminal.tell("a film is odd")
    assert out.getvalue().endswith("\rread: 2 of 9 films\n")
    assert capsys.readouterr().out == "a film is odd\n"


@pytest.mark.parametrize("stream", [None, "full"])
def test_that_nobody_can_be_told_ends_no_work(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, stream: str | None
) -> None:
    class Full(Terminal):
        def write(self, text: str) -> int:
            raise OSError("no space left")

    monkeypatch.setattr(sys, "stderr", stream and Full())
    line = ProgressLine("read", clock=clock)
    clock.now = 5.0
    line(1, 2)
    line(2, 2)


def test_things_are_counted_once_they_are_done() -> None:
    seen: list[tuple[int, int]] = []
    for i, _ in enumerate(counted("abc", lambda done, total: seen.append((done, total)))):
        assert len(seen) == i
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert list(counted([1, 2], None)) == [1, 2]


def test_a_download_tells_how_fast_it_is(clock: Clock) -> None:
    out = Terminal()
    line = BytesLine("set.zip", stream=out, clock=clock)
    for now, done in ((0, 0), (2, 2_000_000), (2.01, 2_010_000), (3, 6_000_000)):
        clock.now = now
        line(done, 6_000_000)
    moves = out.getvalue().split("\r")[1:]
    assert moves[0] == "set.zip: 2 MB of 6 MB (33 %), 1 MB/s, 0 min 04 s left"
    assert moves[1].rstrip() == "set.zip: 6 MB of 6 MB (100 %), 2 MB/s"
    assert len(moves) == 2
    line.say("trying again")
    assert out.getvalue().endswith("\nset.zip: trying again\n")


def test_a_download_of_unknown_length_is_told_of_twice_a_minute(clock: Clock) -> None:
    out = io.StringIO()
    line = BytesLine("set.zip", stream=out, clock=clock)
    for second in range(100):
        clock.now = second
        line(second * 1000, None)
    assert out.getvalue().splitlines()[0] == "set.zip: 30 kB, 1 kB/s"
    assert len(out.getvalue().splitlines()) == 3


@pytest.mark.parametrize(
    ("n", "words"),
    [(0, "0 B"), (999, "999 B"), (4200, "4.2 kB"), (999_600, "1 MB"), (1.2355e9, "1.24 GB")],
)
def test_bytes_in_words(n: float, words: str) -> None:
    assert in_words(n) == words


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("films") / "set", 12, size=32)


COMMANDS = {"split": "hashing", "check": "looking at"}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("verb", COMMANDS)
def test_a_log_tells_of_it_and_stdout_does_not(
    verb: str, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--out", str(tmp_path / "split.csv")] if verb == "split" else []
    assert main(["data", verb, str(films), *more]) == 0
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert lines[-1] == f"{COMMANDS[verb]}: 24 of 24 films"
    assert all(line.startswith(f"{COMMANDS[verb]}: ") for line in lines)
    assert COMMANDS[verb] not in said.out


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_a_terminal_sees_one_line_that_moves(films: Path, tmp_path: Path) -> None:
    said, out = in_terminal("data", "split", films, "--out", tmp_path / "split.csv")
    moves = said.replace("\r\n", "\n").split("\r")
    assert moves[1] == "hashing: 0 of 24 films"
    assert moves[-1] == "hashing: 24 of 24 films\n"
    assert "hashing" not in out
    assert "films" in out


def in_terminal(*words: object) -> tuple[str, str]:
    """What a command says on a terminal, its stderr, and into a pipe, its stdout."""
    import pty

    code = (
        "import sys; from firstread import progress; progress.SOON = progress.OFTEN = 0.0; "
        "from firstread.cli.main import main; sys.exit(main())"
    )
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", code, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True) as done:
        os.close(theirs)
        assert done.stdout is not None
        out, said = done.stdout.read(), b"".join(pieces(ours))
    os.close(ours)
    assert done.returncode == 0
    return said.decode(), out


def pieces(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux says so where the other end is closed
            return
        if not piece:
            return
        yield piece
