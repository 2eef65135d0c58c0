"""Ways to spoil a zip of films: hostile names, links, sizes that lie, bombs, zips inside."""

from __future__ import annotations

import io
import re
import stat
import warnings
import zipfile

from fuzzing.bytes_attacks import Attack, Rng, number, one, put

NAMES = (
    "../../up.dcm", "/etc/abs.dcm", "..\\..\\up.png", "C:\\x\\y.dcm", "a/../../../b.png", "..",
    "film\x00.png", "x" * 5000 + ".png", "-rf.png", "=cmd|x.png", "\x1b[31mred.png", "con.png",
    "d/.png", "~/x.dcm", "\u202egnp.mcd", "a//b///c.dcm", "deep/" * 300 + "x.png", "ä\udcff.png",
)  # fmt: skip
"""Where a careless unpacker would write."""


def _packed(entries: list[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(out, "w") as archive:
        for info, data in entries:
            archive.writestr(info, data)
    return out.getvalue()


def _info(name: str, method: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x", (2024, 1, 1, 0, 0, 0))
    info.filename = name.encode("utf-8", "replace").decode()
    info.compress_type = method
    return info


def _films(data: bytes) -> list[bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [archive.read(i) for i in archive.infolist()] or [data]  # emptied before
    except Exception:  # spoilt before
        return [data]


def names(rng: Rng, data: bytes) -> bytes:
    """Films under names that point out of any folder."""
    films = _films(data)
    return _packed([(_info(one(rng, NAMES)), one(rng, films)) for _ in range(5)])


def links(rng: Rng, data: bytes) -> bytes:
    """Entries that are links, to a file or to a folder of a later entry."""
    entries = []
    for name in ("link.dcm", "folder", "link.png"):
        info = _info(name)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        entries.append((info, one(rng, (b"/etc/passwd", b"../../x", b".", b"link.dcm"))))
    return _packed([*entries, (_info("folder/x.dcm"), _films(data)[0])])


def bombs(rng: Rng, data: bytes) -> bytes:
    """Entries that unpack to far more, zips in zips, the same name twice, very many entries."""
    way = int(rng.integers(4))
    if way == 0:
        return _packed([(_info("a.dcm", zipfile.ZIP_DEFLATED), bytes(2**24 + 9))])
    if way == 1:
        return _packed([(_info("in.zip"), data), (_info("a.png"), _films(data)[-1])])
    if way == 2:
        return _packed([(_info("same.dcm"), film) for film in _films(data)])
    return _packed([(_info(f"{i}.txt"), b"") for i in range(int(one(rng, (10, 3000))))])


def fields(rng: Rng, data: bytes) -> bytes:
    """Odd numbers in the heads of entries, in the table of contents or in its end."""
    mark = one(rng, (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"))
    places = [found.start() for found in re.finditer(re.escape(mark), data)]
    if not places:
        return data
    at = one(rng, places) + int(rng.integers(4, 44))
    return put(data, at, number(rng, int(one(rng, (2, 4)))))


ATTACKS: tuple[Attack, ...] = (names, links, bombs, fields, fields)
