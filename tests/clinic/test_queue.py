"""The queue on disk: nothing promised and lost, nothing read twice."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstread.clinic import deliveries, journal
from firstread.clinic.journal import FAILED, READ, RECEIVED, SENT
from firstread.clinic.queue import Queue, short
from firstread.errors import OutputError

PEER, OTHER = "A@127.0.0.1:1", "B@127.0.0.1:2"


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    made = Queue(tmp_path / "q")
    yield made
    made.close()


def again(queue: Queue) -> Queue:
    """As a new process finds the folder."""
    queue.close()
    return Queue(queue.folder)


def read(queue: Queue, key: str, *peers: str) -> Path:
    found = queue.next_film()
    assert found is not None
    assert found[0] == key
    result = queue.place(key) / "r.dcm"
    result.write_bytes(b"result")
    queue.done(key, [result], peers)
    return result


def test_a_film_goes_its_way_and_leaves_nothing_but_a_row(queue: Queue) -> None:
    taken = queue.take("1.2.3", b"film")
    assert (taken.known, taken.differs) == (False, False)
    assert queue.film(taken.key).read_bytes() == b"film"
    assert queue.counts() == {RECEIVED: 1}
    result = read(queue, taken.key, PEER, OTHER)
    assert queue.next_film() is None
    assert not queue.film(taken.key).exists()
    assert queue.counts() == {READ: 1}
    for peer in (PEER, OTHER):
        (delivery,) = queue.deliveries(peer)
        assert delivery.file.read_bytes() == b"result"
        queue.delivered(delivery)
        assert queue.deliveries(peer) == []
        assert result.exists() == (peer == PEER)
    assert queue.counts() == {SENT: 1}
    assert list(queue.folder.rglob("*.dcm")) == []


def test_names_on_disk_are_hashes(queue: Queue) -> None:
    queue.take("../../1.2.3", b"film")
    (path,) = queue.films.iterdir()
    assert "1.2.3" not in path.name
    assert short("1.2.3") != short("1.2.4")


@pytest.mark.parametrize("end", [RECEIVED, READ, SENT, FAILED])
def test_the_same_film_again_is_known_whatever_became_of_it(queue: Queue, end: str) -> None:
    key = queue.take("1.2.3", b"film").key
    if end == FAILED:
        queue.fail(key)
    elif end != RECEIVED:
        read(queue, key, PEER)
        if end == SENT:
            queue.delivered(queue.deliveries(PEER)[0])
    queue = again(queue)
    taken = queue.take("1.2.3", b"film")
    assert taken.known
    assert taken.anew == (end == FAILED)
    # What failed is tried once more: a drive may have been away, or the program mended.
    assert queue.counts() == {RECEIVED if end == FAILED else end: 1}
    queue.close()


def test_what_failed_is_read_again_from_the_bytes_that_came_last(queue: Queue) -> None:
    """The kept file may be what failed."""
    key = queue.take("1.2.3", b"film").key
    queue.fail(key)
    queue.film(key).unlink()
    assert queue.take("1.2.3", b"film").anew
    assert queue.film(key).read_bytes() == b"film"
    assert queue.next_film() == (key, 0)


def test_other_bytes_under_the_same_uid_are_a_film_of_their_own(queue: Queue) -> None:
    first = queue.take("1.2.3", b"film")
    second = queue.take("1.2.3", b"another")
    assert second.differs
    assert not second.known
    assert {queue.film(t.key).read_bytes() for t in (first, second)} == {b"film", b"another"}


def test_bytes_are_known_by_their_mark(queue: Queue) -> None:
    mark = hashlib.sha256(b"film").hexdigest()
    queue.take("1.2.3", b"header 1, film", mark)
    assert queue.take("1.2.3", b"header 2, film", mark).known


def test_without_peers_results_stay_and_outlive_a_start(queue: Queue) -> None:
    result = read(queue, queue.take("1.2.3", b"film").key)
    queue = again(queue)
    assert result.read_bytes() == b"result"
    assert queue.counts() == {READ: 1}
    queue.close()


def test_a_start_mends_what_a_stop_left(queue: Queue) -> None:
    """Between any two steps: half a film, a film without its row, results without a row."""
    begun = queue.take("1.2.1", b"begun").key
    read_key = queue.take("1.2.2", b"read").key
    assert queue.next_film() == (begun, 0)
    (queue.place(begun) / "half.dcm").write_bytes(b"half")
    queue.put_off(begun)
    read(queue, begun, PEER)
    leftover = read(queue, read_key, PEER)
    queue.film(read_key).write_bytes(b"read")  # not yet deleted
    sent = queue.deliveries(PEER)[0]
    queue.delivered(sent)
    sent.file.parent.mkdir()
    sent.file.write_bytes(b"result")  # sent, not yet deleted
    third = queue.take("1.2.3", b"third").key
    (queue.place(third) / "half.dcm").write_bytes(b"half")
    (queue.films / ".x.part").write_bytes(b"half")
    orphan = third[::-1].replace("-", "0")[:24] + "-" + "0" * 24
    queue.film(orphan).write_bytes(b"orphan")
    queue = again(queue)
    assert not (queue.films / ".x.part").exists()
    assert not queue.film(read_key).exists()
    assert leftover.exists()
    assert not sent.file.exists()
    assert not (queue.results / third).exists()
    found = [queue.next_film()]
    queue.fail(third)
    found.append(queue.next_film())
    assert [key for key, _ in filter(None, found)] == [third, orphan]
    queue.close()


def test_what_others_keep_in_the_folders_is_left_alone(queue: Queue) -> None:
    """A file system's own folders, somebody's copy of a film by name, a link."""
    key = queue.take("1.2.3", b"film").key
    queue.close()
    named = os.fsencode(queue.films) + b"/M\xfcller.dcm"
    Path(os.fsdecode(named)).write_bytes(b"film")
    (queue.films / ".snapshot").mkdir()
    (queue.films / ".hidden").write_bytes(b"x")
    (queue.films / "x.dcm").mkdir()
    (queue.films / f"{'0' * 24}-{'1' * 24}.dcm").symlink_to(queue.film(key))
    (queue.results / "readme.txt").write_bytes(b"x")
    (queue.results / "lost+found").mkdir()
    queue = Queue(queue.folder)
    assert queue.foreign == 7
    assert queue.counts() == {RECEIVED: 1}
    assert len([*queue.films.iterdir(), *queue.results.iterdir()]) == 8
    queue.close()


def test_a_lost_journal_loses_no_film_and_no_result(queue: Queue) -> None:
    """Results without a row are kept for whom a person says."""
    result = read(queue, queue.take("1.2.3", b"film").key, PEER)
    waiting = queue.take("1.2.4", b"film").key
    (queue.place(waiting) / "half.dcm").write_bytes(b"half")
    queue.close()
    for file in queue.folder.glob("journal.sqlite*"):
        file.unlink()
    queue = Queue(queue.folder)
    assert queue.counts() == {READ: 1, RECEIVED: 1}
    assert result.read_bytes() == b"result"
    assert not (queue.results / waiting).exists()
    queue.close()


def test_tries_outlive_a_kill(queue: Queue) -> None:
    key = queue.take("1.2.3", b"film").key
    assert queue.next_film() == (key, 0)
    queue = again(queue)
    assert queue.next_film() == (key, 1)
    queue.put_off(key)
    assert queue.next_film() == (key, 1)
    queue.close()


def test_what_a_peer_refuses_lets_the_others_pass(queue: Queue) -> None:
    for i in range(3):
        read(queue, queue.take(f"1.2.{i}", b"film").key, PEER)
    first, *others = queue.deliveries(PEER)
    queue.refused(first)
    assert queue.deliveries(PEER) == [*others, first]
    assert queue.deliveries(PEER, new=True) == others
    assert queue.peers() == {PEER: 3}


def test_what_waits_is_not_sorted_for_each_hundred(queue: Queue) -> None:
    """Films that came in could not be put down meanwhile."""
    read(queue, queue.take("1.2.3", b"film").key, PEER)
    plans: list[str] = []

    class Plans:
        def execute(self, text: str, told: tuple[object, ...]) -> sqlite3.Cursor:
            rows = queue._db.execute(f"explain query plan {text}", told).fetchall()
            plans.extend(row[3] for row in rows)
            return queue._db.execute(text, told)

    assert len(deliveries.next_for(Plans(), PEER, new=False)) == 1  # type: ignore[arg-type]
    assert len(plans) == 1
    assert "deliveries_in_turn" in plans[0]


def test_a_journal_of_before_is_taken_on_in_its_order(queue: Queue) -> None:
    for i in range(3):
        read(queue, queue.take(f"1.2.{i}", b"film").key, PEER)
    before = queue.deliveries(PEER)
    queue.close()
    with contextlib.closing(sqlite3.connect(queue.folder / journal.NAME)) as db:
        db.executescript(
            "drop index deliveries_in_turn; alter table deliveries drop column film; "
            "create index deliveries_by_peer on deliveries (peer, refused);"
        )
    queue = Queue(queue.folder)
    read(queue, queue.take("1.2.9", b"film").key, PEER)
    assert queue.deliveries(PEER)[:3] == before
    queue.close()
    again(queue).close()


def test_what_cannot_be_deleted_is_told(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    result = read(queue, queue.take("1.2.3", b"film").key, PEER)

    def rmdir(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as short:
        short.setattr(os, "rmdir", rmdir)
        assert queue.delivered(queue.deliveries(PEER)[0]) == "Operation not permitted"
    assert queue.counts() == {SENT: 1}
    assert result.parent.exists()
    queue = again(queue)
    assert not result.parent.exists()
    queue.close()


def test_one_process_at_a_time(queue: Queue) -> None:
    with pytest.raises(OutputError, match="another node"):
        Queue(queue.folder)


def test_a_broken_journal_is_said(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(OutputError, match=r"journal is broken .* move journal.sqlite\* out"):
        Queue(tmp_path)


def test_a_journal_that_cannot_be_written_is_said_at_the_start(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of another user, who tried the node first: each film was refused, by a node that ran."""
    queue.close()

    def connect(folder: Path) -> sqlite3.Connection:
        place = f"file:{folder / journal.NAME}?mode=ro"
        return sqlite3.connect(place, uri=True, isolation_level=None)

    monkeypatch.setattr(journal, "connect", connect)
    with pytest.raises(OutputError, match=r"cannot be written .* check whose files"):
        Queue(queue.folder)


def test_only_the_owner_may_look(queue: Queue) -> None:
    assert queue.films.stat().st_mode & 0o077 == 0
    assert queue.folder.stat().st_mode & 0o077 == 0


def test_many_threads_hand_in_the_same_films(queue: Queue) -> None:
    known = []

    def hand_in() -> None:
        known.extend(queue.take(f"1.2.{i}", b"film").known for i in range(8))

    threads = [threading.Thread(target=hand_in) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert known.count(False) == 8
    assert queue.counts() == {RECEIVED: 8}


def test_too_little_room_is_refused_beforehand(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q", reserve=2**62)
    with pytest.raises(OutputError, match="full"):
        queue.take("1.2.3", b"film")
    assert queue.counts() == {}
    queue.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root only")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True
    )
    if made.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    queue = Queue(small_disk / "q", reserve=0)
    kept = queue.take("1.2.0", b"film").key
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as out:
        while out.write(b"x" * 4096):
            pass
    queue._free = lambda: 2**40  # type: ignore[method-assign]  # it fills between look and write
    with pytest.raises(OutputError):
        queue.take("1.2.1", b"x" * 50_000)
    assert sorted(p.stem for p in queue.films.iterdir()) == [kept]
    ballast.unlink()
    assert not queue.take("1.2.1", b"x" * 50_000).known
    assert queue.counts() == {RECEIVED: 2}
    queue.close()
    check = sqlite3.connect(small_disk / "q" / "journal.sqlite")
    assert check.execute("pragma integrity_check").fetchone() == ("ok",)
    check.close()
