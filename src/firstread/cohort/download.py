"""One large file over a connection that breaks.

The bytes go to `FILE.part`, and what the server said of them (address, ETag, date, size) to
`FILE.part.json`. A run that was killed, or a connection that broke, goes on where it stopped
by asking for the rest `If-Range` the file is still the same; a server that ignores that, or
names nothing to compare, sends it from the start. One that sends the rest of another file is found
out by the notes, and the part is thrown away. `FILE` appears only when it is whole.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import firstread
from firstread.errors import DownloadError, OutputError
from firstread.progress import in_words

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes expected, None if not known."""

CHUNK = 1 << 18
PIECES = ("", ".part", ".part.json")
"""Endings of what a download may leave: the file, what there is of it, and the notes on that."""
ROOM_TO_SPARE = 64 << 20
"""Bytes that stay free on the disk beyond what we write."""

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP states worth another try (RFC 9110 15.5.9, 15.6; RFC 6585 4; RFC 8470 5.2)."""

WHOLE = frozenset({200, 203, 206})
"""States that bring a file: 203 is a 200 by way of a proxy that says so (RFC 9110 15.3.4)."""

PAGES = frozenset({"text/html", "application/xhtml+xml"})
"""What a login or an error is shown by, whatever the state says."""

PACKED = frozenset({"gzip", "x-gzip", "compress", "x-compress", "deflate", "br", "zstd"})
"""Codings of HTTP. Stores of objects send other words too (`aws-chunked`), of no coding at all."""


@dataclass(frozen=True)
class Retry:
    """How patiently to try. `tries` in a row that bring the file no further than it once was;
    `wait` seconds, doubled."""

    tries: int = 6
    wait: float = 1.0
    longest: float = 30.0
    timeout: float = 30.0


class _Again(Exception):
    """A passing fault; `after`: seconds the server asked us to wait; `offline`: no name service."""

    def __init__(self, why: str, after: float = 0.0, offline: bool = False) -> None:
        super().__init__(why)
        self.after, self.offline = after, offline


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follow a redirect to another host, but never from https to plain http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        url: str,
    ) -> urllib.request.Request | None:
        if urlsplit(req.full_url).scheme == "https" and urlsplit(url).scheme != "https":
            raise DownloadError(
                f"{req.full_url}: redirects to an unencrypted address; not followed"
            )
        return super().redirect_request(req, fp, code, msg, headers, url)


def download(
    url: str,
    target: Path,
    *,
    by_hand: str = "download it in a browser",
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda text: None,
    retry: Retry | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetch `url` to `target` and return it; a `target` that is there already is kept.

    `by_hand` ends the text of every error: what to do without this connection. `say` is told
    why a further try is made. Raises
    `DownloadError` where the file cannot be had whole and `OutputError` where the disk
    has no room or the folder cannot be written. Whatever was fetched stays for the next run.
    """
    if target.exists():
        return target
    retry = retry or Retry()
    progress = progress or (lambda done, total: None)
    part = target.with_name(target.name + ".part")
    failures = 0
    best, _ = _resumable(part, url)
    while True:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _attempt(url, part, progress, retry.timeout)
            part.replace(target)
            _notes(part).unlink(missing_ok=True)
            return target
        except _Again as fault:
            # A restart from zero is no gain, so only bytes beyond the best mark count as one.
            failures = 0 if _size(part) > best else failures + 1
            best = max(best, _size(part))
            if failures >= (min(retry.tries, 2) if fault.offline else retry.tries):
                raise DownloadError(
                    f"{url}: {fault} ({failures} tries); run the same command again to go on, "
                    f"or {by_hand}"
                ) from None
            pause = min(retry.longest, retry.wait * 2 ** max(failures - 1, 0))
            pause = max(pause, min(fault.after, 2 * retry.longest))
            say(f"{fault}; trying again in {pause:.0f} s")
            sleep(pause)
        except urllib.error.HTTPError as e:
            e.close()
            reason = " ".join(str(e.reason).split())  # urllib's own, of a circle, has lines
            raise DownloadError(f"{url}: the server says {e.code} {reason}; {by_hand}") from None
        except _Refused as fault:
            raise DownloadError(f"{url}: {fault}; {by_hand}") from None
        except OSError as e:
            raise _disk_error(e, target, _size(part)) from None


class _Refused(Exception):
    """What the server sends is not the file."""


def _attempt(url: str, part: Path, progress: Progress, timeout: float) -> None:
    """One request: append to `part` until it is whole, else raise."""
    have, notes = _resumable(part, url)
    headers = {"User-Agent": f"firstread/{firstread.__version__}", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": notes["validator"]}
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as e:
        if e.code == 416 and have:  # nothing beyond what we have: whole, or not that file
            whole = e.headers.get("Content-Range", "").rpartition("/")[2]
            e.close()
            if whole == str(have) and notes.get("size") in (None, have):
                return
            part.unlink()
            raise _Again("the part on disk does not fit the file") from None
        if e.code in TRANSIENT:
            after = e.headers.get("Retry-After") or ""
            e.close()
            wait = float(after) if after.isdigit() else 0.0
            raise _Again(f"the server says {e.code} {e.reason}", wait) from None
        raise
    except ValueError as e:  # of the address, or of one that it redirects to
        raise _Refused(f"leads to no address ({e})") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as e:
        offline = isinstance(getattr(e, "reason", None), socket.gaierror)
        raise _Again(f"no connection{_by_proxy(url)} ({_why(e)})", offline=offline) from None
    with response:
        if response.status not in WHOLE:
            raise _Refused(f"the server says {response.status} {response.reason}")
        if response.headers.get_content_type() in PAGES:
            raise _Refused("the server sends a web page, not the file")
        codings = (response.headers.get("Content-Encoding") or "").lower().split(",")
        if packed := next((c.strip() for c in codings if c.strip() in PACKED), None):
            raise _Refused(f"the server, or a proxy before it, packs the file anew ({packed})")
        start, total = _extent(response, have)
        if start and _changed(response, notes, total):
            part.unlink()
            raise _Again("the file is not the one that was begun")
        need_room(part.parent, (total or 0) - start)
        if not start:  # a kill here must not leave old bytes beside new notes
            part.unlink(missing_ok=True)
            _note(part, url, response, total)
        done = _append(response, part, start, total, progress)
    if total is not None and done != total:
        raise _Again(f"the connection broke off at {done:,} of {total:,} bytes")


def _extent(response: Any, have: int) -> tuple[int, int | None]:
    """(byte the answer starts at, bytes of the whole file or None)."""
    if response.status == 206:
        span, _, total = response.headers.get("Content-Range", "").partition("/")
        if not span.startswith(f"bytes {have}-"):
            raise _Refused("the server sends another part of the file than asked for")
        return have, int(total) if total.isdigit() else None
    length = response.headers.get("Content-Length") or ""
    return 0, int(length) if length.isdigit() else None


def _changed(response: Any, notes: Mapping[str, Any], total: int | None) -> bool:
    """Whether a part comes from another file than `notes` tell of, `If-Range` or not."""
    told = {response.headers.get(name) for name in ("ETag", "Last-Modified")} - {None}
    size = notes.get("size")
    other = bool(told) and notes["validator"] not in told
    return other or (None not in (total, size) and total != size)


def _append(response: Any, part: Path, start: int, total: int | None, progress: Progress) -> int:
    """Write what comes from `start` on; returns the size reached."""
    done = start
    with part.open("r+b" if part.exists() else "wb") as out:
        out.seek(start)
        out.truncate()
        progress(done, total)
        while True:
            try:
                block = response.read(CHUNK)
            except http.client.IncompleteRead as e:
                out.write(e.partial)
                raise _Again("the connection broke off") from None
            except (OSError, http.client.HTTPException) as e:
                raise _Again(f"the connection broke off ({_why(e)})") from None
            if not block:
                break
            out.write(block)
            done += len(block)
            progress(done, total)
        out.flush()
        os.fsync(out.fileno())
    return done


def _notes(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _note(part: Path, url: str, response: Any, total: int | None) -> None:
    """Remember what the server said of the file, before the first byte of it."""
    etag = response.headers.get("ETag") or ""
    # A weak ETag must not be used with If-Range (RFC 9110 13.1.5).
    strong = "" if etag.startswith("W/") else etag
    validator = strong or response.headers.get("Last-Modified") or ""
    told = {"url": url, "validator": validator, "size": total}
    _notes(part).write_text(json.dumps(told), encoding="utf-8")


def _resumable(part: Path, url: str) -> tuple[int, dict[str, Any]]:
    """(bytes on disk that may be kept, what the server said of them); 0 to start afresh."""
    try:
        notes = json.loads(_notes(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0, {}
    if not isinstance(notes, dict) or notes.get("url") != url or not notes.get("validator"):
        return 0, {}
    return _size(part), notes


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def need_room(folder: Path, n_bytes: int) -> None:
    """Raise `OutputError` if the disk of `folder` has less than `n_bytes` (and some) free."""
    free = shutil.disk_usage(folder).free
    if n_bytes > 0 and free < n_bytes + ROOM_TO_SPARE:
        raise OutputError(
            f"{folder}: {in_words(n_bytes + ROOM_TO_SPARE)} are needed and {in_words(free)} are "
            f"free; free some space, or name a folder on another disk with --to"
        )


def _disk_error(e: OSError, target: Path, kept: int) -> OutputError:
    if e.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"{target.parent}: the disk is full; free some space and run the same command again "
            f"({in_words(kept)} are kept)"
        )
    return OutputError(
        f"{target.parent}: cannot be written ({e.strerror or e}); name another folder with --to"
    )


def _by_proxy(url: str) -> str:
    """By which proxy `url` is asked for, if by one; a password in its address is not told."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or urllib.request.proxy_bypass(parts.netloc):
        return ""
    return f" by way of the proxy {proxy.rpartition('@')[2]}"


def _why(e: BaseException) -> str:
    reason = getattr(e, "reason", None) or e
    return getattr(reason, "strerror", None) or str(reason) or type(e).__name__
