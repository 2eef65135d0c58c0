"""Programs of other people that our DICOM must get on with: dicom3tools, dcmtk, Orthanc.

A test whose peer is not installed is skipped by name, or fails where FIRSTREAD_PEERS=1, as in
.ci/run. On Debian: apt-get install dicom3tools dcmtk orthanc orthanc-dicomweb.
"""

from __future__ import annotations

import email
import email.policy
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SYSTEM = ("/usr/sbin", "/usr/local/sbin")
"""Where Debian keeps servers, and few people's PATH leads."""
PLUGINS = Path("/usr/share/orthanc/plugins")
DICOMWEB = "libOrthancDicomWeb.so"


def missing(what: str) -> None:
    """Skip the test, or fail it where the peers were promised to be there."""
    text = f"{what} is not installed: a DICOM program to test against"
    if os.environ.get("FIRSTREAD_PEERS") == "1":
        pytest.fail(text)
    pytest.skip(text)


def program(name: str) -> str:
    """The path of an installed peer.

    pynetdicom brings scripts of the same names, which come first where its environment is active;
    it is what we are made of, and no peer.
    """
    found = [shutil.which(name, path=folder) for folder in (*os.get_exec_path(), *SYSTEM)]
    others = [path for path in found if path and not _is_python(Path(path))]
    if not others:
        missing(name)
    return others[0]


def _is_python(path: Path) -> bool:
    with path.open("rb") as f:
        head = f.readline(200)
    return head.startswith(b"#!") and b"python" in head


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a peer to its end; its output is text."""
    return subprocess.run(
        [program(name), *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def errors_of(path: Path) -> list[str]:
    """What dciodvfy finds wrong with a DICOM file by its IOD; empty where it is sound."""
    done = run("dciodvfy", path)
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if line.startswith(("Error", "Abort", "Failed"))]


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@dataclass(frozen=True)
class Orthanc:
    """A running archive. `dicom`: its port for C-STORE. `url`: of its web server."""

    dicom: int
    url: str

    def get(self, path: str, accept: str = "*/*") -> tuple[bytes, str]:
        """Body and content type of a page below the server's root."""
        request = urllib.request.Request(self.url + path, headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read(), answer.headers["Content-Type"]

    def post(self, path: str, body: bytes, method: str = "POST") -> bytes:
        """Send `body` to a page below the server's root; its answer."""
        request = urllib.request.Request(self.url + path, data=body, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def put(self, path: str, body: bytes) -> bytes:
        """The same by PUT."""
        return self.post(path, body, "PUT")

    def store(self, *paths: Path) -> subprocess.CompletedProcess[str]:
        """C-STORE by dcmtk's storescu."""
        return run("storescu", "-aec", "ORTHANC", "127.0.0.1", str(self.dicom), *paths)

    def fetch(self, study: str, series: str, instance: str) -> bytes:
        """One instance by DICOMweb, WADO-RS: the bytes of its file."""
        path = f"/dicom-web/studies/{study}/series/{series}/instances/{instance}"
        body, kind = self.get(path, 'multipart/related; type="application/dicom"')
        head = f"Content-Type: {kind}\r\n\r\n".encode()
        message = email.message_from_bytes(head + body, policy=email.policy.default)
        (part,) = message.iter_parts()
        # Not by get_payload: parsing mail turns line ends, and these bytes are no text.
        assert part.get_content_type() == "application/dicom"
        boundary = message.get_boundary()
        assert boundary is not None
        start = body.index(b"\r\n\r\n") + 4
        return body[start : body.rindex(f"\r\n--{boundary}--".encode())]


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """A real Orthanc with DICOMweb on free ports of the loopback, its storage thrown away."""
    binary = program("Orthanc")
    if not (PLUGINS / DICOMWEB).exists():
        missing("orthanc-dicomweb")
    folder = tmp_path_factory.mktemp("orthanc")
    archive = Orthanc(free_port(), f"http://127.0.0.1:{(web := free_port())}")
    settings = {
        "Name": "firstread tests",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": "ORTHANC",
        "DicomPort": archive.dicom,
        "HttpPort": web,
        "HttpServerEnabled": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "ExecuteLuaEnabled": True,
        "Plugins": [str(PLUGINS / DICOMWEB)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    config = folder / "orthanc.json"
    config.write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([binary, str(config)], stdout=log, stderr=log, cwd=folder)
        try:
            _wait(archive, process, folder / "log")
            yield archive
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(archive: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 40
    while time.monotonic() < end and process.poll() is None:
        try:
            archive.get("/system")
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"Orthanc did not start: {log.read_text(errors='replace')[-2000:]}")
