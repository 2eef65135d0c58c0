"""Downloads from a loopback server that misbehaves in the ways servers do."""

import errno
import io
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from firstread.cohort import download as module
from firstread.cohort.download import Retry, download
from firstread.errors import DownloadError, OutputError

BODY = bytes(range(256)) * 4000  # about 1 MB, so that it takes several chunks


@dataclass
class Behaviour:
    """What the server does; `cuts`: bytes after which each next answer breaks off."""

    body: bytes = BODY
    etag: str = '"v1"'
    modified: str = ""
    ranges: bool = True
    careless: bool = False  # sends the part asked for, whatever If-Range says
    cuts: list[int] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    claim_more: int = 0
    kind: str = "application/zip"
    encoding: str = ""
    whole: int = 200
    chunked: bool = False
    redirect: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        b = self.behaviour
        b.asked.append({k.lower(): v for k, v in self.headers.items()})
        self.close_connection = True
        if b.redirect and self.path == "/first":
            self.send_response(302)
            self.send_header("Location", b.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if b.states:
            self.send_response(b.states.pop(0))
            self.send_header("Retry-After", "7")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = self._start(b)
        if start >= len(b.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(b.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        rest = b.body[start:]
        self.send_response(206 if start else b.whole)
        if start:
            span = f"bytes {start}-{len(b.body) - 1}/{len(b.body) + b.claim_more}"
            self.send_header("Content-Range", span)
        for name, value in (("ETag", b.etag), ("Last-Modified", b.modified)):
            if value:
                self.send_header(name, value)
        self.send_header("Content-Type", b.kind)
        if b.encoding:
            self.send_header("Content-Encoding", b.encoding)
        if b.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            rest = b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest), rest)
        else:
            self.send_header("Content-Length", str(len(rest) + b.claim_more))
        self.end_headers()
        self.wfile.write(rest[: b.cuts.pop(0)] if b.cuts else rest)

    def _start(self, b: Behaviour) -> int:
        wanted = self.headers.get("Range")
        if not b.ranges or not wanted:
            return 0
        if not b.careless and self.headers.get("If-Range") not in (b.etag, b.modified):
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Behaviour]:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    behaviour = Behaviour()
    handler = type("Bound", (Handler,), {"behaviour": behaviour})
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    behaviour.url = f"http://127.0.0.1:{httpd.server_address[1]}/set.zip"
    yield behaviour
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def get(server: Behaviour, target: Path, **options: object) -> list[float]:
    """Download; the pauses that were made instead of slept."""
    pauses: list[float] = []
    retry = Retry(tries=3, wait=1.0, timeout=5.0)
    download(server.url, target, retry=retry, sleep=pauses.append, **options)  # type: ignore[arg-type]
    return pauses


def test_whole_file_arrives_and_nothing_else_stays(server: Behaviour, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = tmp_path / "new" / "set.zip"
    assert get(server, target, progress=lambda d, t: seen.append((d, t))) == []
    assert target.read_bytes() == BODY
    assert [p.name for p in target.parent.iterdir()] == ["set.zip"]
    assert seen[0] == (0, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))
    assert server.asked[0]["user-agent"].startswith("firstread/")


def test_a_file_that_is_there_is_kept(server: Behaviour, tmp_path: Path) -> None:
    target = tmp_path / "set.zip"
    target.write_bytes(b"mine")
    get(server, target)
    assert target.read_bytes() == b"mine"
    assert server.asked == []


def test_broken_connection_goes_on_where_it_stopped(server: Behaviour, tmp_path: Path) -> None:
    server.cuts = [400_000, 300_000]
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY
    assert [a.get("range") for a in server.asked] == [None, "bytes=400000-", "bytes=700000-"]
    assert server.asked[1]["if-range"] == '"v1"'


def test_next_run_goes_on_after_a_kill(server: Behaviour, tmp_path: Path) -> None:
    def killed(done: int, total: int | None) -> None:
        if done > 500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path / "set.zip", progress=killed)
    assert not (tmp_path / "set.zip").exists()
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY
    assert int(server.asked[1]["range"].removeprefix("bytes=").removesuffix("-")) > 500_000


def test_date_serves_where_the_etag_is_weak(server: Behaviour, tmp_path: Path) -> None:
    server.etag, server.modified = 'W/"v1"', "Mon, 01 Jan 2018 00:00:00 GMT"
    server.cuts = [400_000]
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY
    assert server.asked[1]["if-range"] == server.modified


def test_server_that_ignores_range_is_read_from_the_start(
    server: Behaviour, tmp_path: Path
) -> None:
    server.ranges, server.cuts = False, [400_000]
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY


def test_a_server_that_breaks_off_now_later_now_sooner_is_given_up(
    server: Behaviour, tmp_path: Path
) -> None:
    """Each second try gets further than the one before it, and none further than the first."""
    server.ranges, server.cuts = False, [600_000, 300_000] * 50
    with pytest.raises(DownloadError, match=r"broke off .*\(3 tries\)"):
        get(server, tmp_path / "set.zip")
    assert len(server.asked) == 4


def test_each_try_that_gets_further_is_a_gain(server: Behaviour, tmp_path: Path) -> None:
    server.ranges = False
    server.cuts = [500_000, 100_000, 200_000, 600_000, 300_000, 400_000, 700_000, 100_000]
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY
    assert len(server.asked) == 9


def test_nothing_to_compare_starts_afresh(server: Behaviour, tmp_path: Path) -> None:
    server.etag, server.cuts = "", [400_000]
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY
    assert all("range" not in a for a in server.asked)


def test_file_that_changed_meanwhile_starts_afresh(server: Behaviour, tmp_path: Path) -> None:
    server.cuts = [400_000] * 4
    server.ranges = False
    with pytest.raises(DownloadError, match="broke off at 400,000"):
        get(server, tmp_path / "set.zip")
    server.ranges, server.etag, server.body = True, '"v2"', BODY[::-1]
    server.cuts = []
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY[::-1]


@pytest.mark.parametrize("by", ["etag", "modified", "size"])
def test_the_rest_of_another_file_is_not_joined_to_the_part(
    server: Behaviour, tmp_path: Path, by: str
) -> None:
    server.careless = True
    if by == "modified":
        server.etag, server.modified = "", "Mon, 01 Jan 2018 00:00:00 GMT"
    server.cuts = [400_000]

    def change(seconds: float) -> None:
        server.body = BODY[::-1] + (b"more" if by == "size" else b"")
        server.etag = '"v2"' if by == "etag" else server.etag
        server.modified = "Tue, 02 Jan 2018 00:00:00 GMT" if by == "modified" else ""

    said: list[str] = []
    retry = Retry(tries=4, timeout=5.0)
    download(server.url, tmp_path / "set.zip", retry=retry, sleep=change, say=said.append)
    assert (tmp_path / "set.zip").read_bytes() == server.body
    assert [a.get("range") for a in server.asked] == [None, "bytes=400000-", None]
    assert said[-1].startswith("the file is not the one that was begun; trying again")


def test_part_of_another_address_is_not_used(server: Behaviour, tmp_path: Path) -> None:
    part = tmp_path / "set.zip.part"
    part.write_bytes(b"x" * 1000)
    notes = {"url": "http://127.0.0.1/else", "validator": '"v1"', "size": 5}
    part.with_name("set.zip.part.json").write_text(json.dumps(notes))
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY


@pytest.mark.parametrize("notes", ["not json", "[]", "{}"])
def test_spoilt_notes_start_afresh(server: Behaviour, tmp_path: Path, notes: str) -> None:
    (tmp_path / "set.zip.part").write_bytes(b"x" * 1000)
    (tmp_path / "set.zip.part.json").write_text(notes)
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY


def test_part_that_is_as_long_as_another_file_by_now(server: Behaviour, tmp_path: Path) -> None:
    (tmp_path / "set.zip.part").write_bytes(b"x" * len(BODY))
    notes = {"url": server.url, "validator": '"v1"', "size": len(BODY) + 1000}
    (tmp_path / "set.zip.part.json").write_text(json.dumps(notes))
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY


@pytest.mark.parametrize("extra", [0, 5])
def test_part_that_needs_no_more_bytes(server: Behaviour, tmp_path: Path, extra: int) -> None:
    """A kill between the last byte and the rename; with `extra`, a part that is too long."""
    (tmp_path / "set.zip.part").write_bytes(BODY + b"x" * extra)
    notes = {"url": server.url, "validator": '"v1"', "size": len(BODY)}
    (tmp_path / "set.zip.part.json").write_text(json.dumps(notes))
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY


def test_unknown_length(server: Behaviour, tmp_path: Path) -> None:
    server.chunked = True
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY


def test_unknown_length_that_breaks_off(server: Behaviour, tmp_path: Path) -> None:
    server.chunked, server.cuts = True, [400_000]
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY


def test_content_length_beyond_the_file_is_an_error(server: Behaviour, tmp_path: Path) -> None:
    server.claim_more, server.ranges = 10, False
    with pytest.raises(DownloadError, match=r"broke off at .*3 tries"):
        get(server, tmp_path / "set.zip")
    assert not (tmp_path / "set.zip").exists()
    assert (tmp_path / "set.zip.part").exists()


def test_missing_page_is_not_tried_again(server: Behaviour, tmp_path: Path) -> None:
    server.states = [404]
    with pytest.raises(DownloadError, match="404 Not Found; take it by bus"):
        get(server, tmp_path / "set.zip", by_hand="take it by bus")
    assert len(server.asked) == 1


def test_busy_server_is_tried_again_when_it_says(server: Behaviour, tmp_path: Path) -> None:
    server.states = [503, 429]
    assert get(server, tmp_path / "set.zip") == [7.0, 7.0]
    assert (tmp_path / "set.zip").read_bytes() == BODY


def test_no_server_says_what_to_do(tmp_path: Path, server: Behaviour) -> None:
    pauses: list[float] = []
    with pytest.raises(DownloadError, match=r"no connection .*\(3 tries\).*in a browser") as error:
        download(
            "http://127.0.0.1:9/set.zip",
            tmp_path / "set.zip",
            retry=Retry(tries=3, timeout=5),
            sleep=pauses.append,
        )
    assert "\n" not in str(error.value)
    assert pauses == [1.0, 2.0]


def test_unknown_host_is_given_up_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_names(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_names)
    said: list[str] = []
    with pytest.raises(DownloadError, match=r"Name or service not known\) \(2 tries\)"):
        download(
            "http://nowhere.invalid/", tmp_path / "a", say=said.append, sleep=lambda seconds: None
        )
    assert said == ["no connection (Name or service not known); trying again in 1 s"]


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/xhtml+xml"])
def test_web_page_instead_of_the_file(server: Behaviour, tmp_path: Path, kind: str) -> None:
    server.kind = kind
    with pytest.raises(DownloadError, match="a web page, not the file"):
        get(server, tmp_path / "set.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_file_packed_anew_on_its_way_is_not_taken(server: Behaviour, tmp_path: Path) -> None:
    """Its length fits, and what lies on disk would be gzip by the name of a zip."""
    server.encoding = "gzip"
    with pytest.raises(DownloadError, match=r"packs the file anew \(gzip\)"):
        get(server, tmp_path / "set.zip")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", ["identity", "Identity", "aws-chunked", "binary"])
def test_what_only_sounds_like_packing_is_taken(
    server: Behaviour, tmp_path: Path, encoding: str
) -> None:
    server.encoding = encoding
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == server.body


@pytest.mark.parametrize("proxy", ["foo:port", "http://user:secret@foo:port"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(DownloadError, match=r"by way of the proxy foo:port \(") as told:
        download("http://firstread.invalid/a.zip", tmp_path / "a", retry=Retry(tries=1))
    assert "secret" not in str(told.value)
    monkeypatch.setenv("no_proxy", "firstread.invalid")
    with pytest.raises(DownloadError) as told:
        download("http://firstread.invalid/a.zip", tmp_path / "a", retry=Retry(tries=1))
    assert "proxy" not in str(told.value)


def test_a_file_by_way_of_a_proxy_that_says_so(server: Behaviour, tmp_path: Path) -> None:
    server.whole = 203
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == server.body


def test_a_circle_of_redirects_is_told_in_a_line(server: Behaviour, tmp_path: Path) -> None:
    server.redirect = "/first"
    with pytest.raises(DownloadError, match="infinite loop") as error:
        download(server.url.rpartition("/")[0] + "/first", tmp_path / "set.zip")
    assert "\n" not in str(error.value)


def test_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="leads to no address"):
        download("http://[::1/set.zip", tmp_path / "set.zip")


def test_no_content_is_no_file(server: Behaviour, tmp_path: Path) -> None:
    server.states = [204]
    with pytest.raises(DownloadError, match="the server says 204 No Content"):
        get(server, tmp_path / "set.zip")


def test_redirects_keep_the_range(server: Behaviour, tmp_path: Path) -> None:
    server.redirect = server.url
    server.url = server.url.replace("set.zip", "first")
    server.cuts = [400_000]
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == BODY
    assert server.asked[-1]["range"] == "bytes=400000-"


def test_redirect_to_plain_http_is_refused() -> None:
    request = module.urllib.request.Request("https://example.org/a")
    with pytest.raises(DownloadError, match="unencrypted"):
        module._SafeRedirects().redirect_request(
            request, io.BytesIO(), 302, "Found", {}, "http://example.org/a"
        )


def test_too_little_room_is_said_before_a_byte_is_written(
    server: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(OutputError, match=r"are needed and 1 kB are free.*--to"):
        get(server, tmp_path / "set.zip")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_keeps_what_is_there(
    server: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OutputError, match=r"disk is full.*run the same command again"):
        get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip.part").exists()


def test_folder_that_cannot_be_made(server: Behaviour, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        get(server, tmp_path / "file" / "set.zip")
