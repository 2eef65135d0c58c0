"""Engines that read alike, and the choice among them. The real OpenVINO, where it is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from firstread.cli import arguments
from firstread.cli.main import main
from firstread.errors import BundleError, EngineError, MissingExtra
from firstread.film import decode, preprocess
from firstread.read import choice, engine
from firstread.read.bundle import Bundle, write_bundle
from firstread.read.choice import chosen, measured
from firstread.read.engine import ENGINES, JUDGED_BY, open_bundle, open_session
from firstread.read.gate import Verdict, judge, strangeness
from firstread.read.reader import Reader
from forked import in_child

SAMPLES = sorted(choice.SAMPLES.rglob("*.jpeg"))


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load()


@pytest.fixture(autouse=True)
def _one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """How fast an engine is matters to no test."""
    monkeypatch.setattr(choice, "ROUNDS", 1)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> str:
    """An engine that each measurement finds, in no time."""
    monkeypatch.setattr(choice, "measured", lambda *_: {"engine": "openvino"})
    return "openvino"


@pytest.fixture
def no_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)


def test_openvino_reads_alike(bundle: Bundle) -> None:
    pytest.importorskip("openvino")
    ours, other = (Reader(bundle, 2, engine=name) for name in ENGINES[:2])
    assert (ours.engine, other.engine) == ENGINES[:2]
    for a, b in zip(
        ours.read_many(SAMPLES, heat=True), other.read_many(SAMPLES, heat=True), strict=True
    ):
        assert a.logit is not None
        assert b.logit == pytest.approx(a.logit, abs=1e-3)
        assert a.decision == b.decision
        assert a.heat is not None
        assert b.heat is not None
        assert np.allclose(a.heat, b.heat, atol=1e-3)


def test_bfloat16_has_to_be_asked_for(bundle: Bundle) -> None:
    pytest.importorskip("openvino")
    found = measured(bundle)
    assert set(found["milliseconds"]) == set(ENGINES)
    assert found["largest_difference"]["openvino"] < 1e-3
    assert found["largest_difference"]["openvino-bf16"] > choice.TOLERANCE
    assert found["engine"] != "openvino-bf16"
    assert Reader(bundle, engine="openvino-bf16").read(SAMPLES[0]).probability is not None


def test_the_fastest_that_reads_alike_is_kept(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(choice, "PAYS", 0.0)  # any gain will do
    first = chosen(bundle, 1, tmp_path)
    (kept,) = json.loads((tmp_path / choice.FILE).read_text()).values()
    speed = kept["milliseconds"]
    assert first == kept["engine"] == min(ENGINES[:2], key=lambda n: speed[n])
    monkeypatch.setattr(choice, "measured", lambda *_: pytest.fail("measured twice"))
    assert chosen(bundle, 1, tmp_path) == first
    with pytest.raises(pytest.fail.Exception):
        chosen(bundle, 2, tmp_path)  # another number of threads is another question


def test_none_that_does_not_pay(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(choice, "PAYS", 1e9)
    assert chosen(bundle, 1, tmp_path) == "onnxruntime"


@pytest.mark.parametrize("spoilt", ["", "[]", "{", "null"])
def test_a_spoilt_note_is_written_anew(
    bundle: Bundle, tmp_path: Path, found: str, spoilt: str
) -> None:
    (tmp_path / choice.FILE).write_text(spoilt)
    assert chosen(bundle, 1, tmp_path) == found
    assert len(json.loads((tmp_path / choice.FILE).read_text())) == 1


def test_where_nothing_can_be_kept_it_reads_all_the_same(
    bundle: Bundle, tmp_path: Path, found: str
) -> None:
    (tmp_path / "file").write_text("")
    assert chosen(bundle, 1, tmp_path / "file") == found


def test_without_openvino_nothing_is_measured(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FIRSTREAD_ENGINE", raising=False)
    monkeypatch.setattr(engine, "installed", lambda: False)
    monkeypatch.setattr(choice, "chosen", lambda *_: pytest.fail("measured"))
    assert open_bundle(bundle).engine == JUDGED_BY


@pytest.mark.usefixtures("no_openvino")
def test_an_engine_that_is_not_installed_is_named(bundle: Bundle) -> None:
    with pytest.raises(MissingExtra, match=r"firstread\[fast\]"):
        Reader(bundle, engine="openvino")


@pytest.mark.usefixtures("no_openvino")
def test_an_openvino_that_does_not_load_is_left_out(bundle: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    assert set(measured(bundle)["milliseconds"]) == {"onnxruntime"}


@pytest.mark.usefixtures("no_openvino")
@pytest.mark.parametrize("kept", ["openvino", None])
def test_an_engine_that_nobody_asked_for_stops_no_reading(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, kept: str | None
) -> None:
    def of_yesterday(*_: object) -> str:
        if kept is None:
            raise RuntimeError("an engine of its own mind")
        return kept

    monkeypatch.delenv("FIRSTREAD_ENGINE")
    monkeypatch.setattr(engine, "installed", lambda: True)
    monkeypatch.setattr(choice, "chosen", of_yesterday)
    assert Reader(bundle).engine == "onnxruntime"


def test_the_verbs_name_the_same_engines() -> None:
    assert (engine.AUTO, *ENGINES) == arguments.ENGINES


def test_bfloat16_keeps_the_gate(bundle: Bundle) -> None:
    """What little of an ordinary film is strange is lost in its rounding; what is said is not."""
    pytest.importorskip("openvino")
    gate = bundle.card.gate
    assert gate is not None
    sessions = [open_session(bundle, name) for name in ("onnxruntime", "openvino-bf16")]
    for path in SAMPLES:
        film = preprocess(decode(path), bundle.card.preprocess)[None]
        whole, rough = (s.run(["gate"], {"film": film})[0] for s in sessions)
        said = [judge(gate, outputs[0], lambda: None) for outputs in (whole, rough)]
        assert said == [Verdict(), Verdict()]
        # Less than the way from an ordinary film to the limit.
        assert abs(strangeness(whole) - strangeness(rough)) < gate.strange


def test_a_senseless_engine() -> None:
    with pytest.raises(EngineError, match="cuda: no engine has this name; name one of auto, onnx"):
        Reader(engine="cuda")


def test_the_environment_says_what_auto_is(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("FIRSTREAD_ENGINE", "openvino")
    assert Reader(bundle).engine == "openvino"
    assert Reader(bundle, engine="onnxruntime").engine == "onnxruntime"
    monkeypatch.setenv("FIRSTREAD_ENGINE", "fast")
    with pytest.raises(EngineError, match="fast"):
        Reader(bundle)


def test_the_verb_takes_one(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openvino")
    out = tmp_path / "o.json"
    assert main(["read", str(SAMPLES[0]), "--engine", "openvino-bf16", "--json", str(out)]) == 0
    (told,) = json.loads(out.read_text())
    logit = Reader(bundle).read(SAMPLES[0]).logit
    assert logit is not None
    assert 1e-3 < abs(told["logit"] - logit) < 1
    assert main(["read", str(SAMPLES[0]), "--engine", "cuda"]) == 2
    assert "invalid choice: 'cuda'" in capsys.readouterr().err


def test_no_graph_of_ours(bundle: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    other = write_bundle(tmp_path / "b", b"no graph", dict(bundle.card.raw))
    for name in ENGINES[:2]:
        with pytest.raises(BundleError, match="cannot load it"):
            open_session(other, name)


def test_nothing_that_reports_over_the_network_is_imported() -> None:
    pytest.importorskip("openvino")
    code = (
        "import sys; from firstread.read.engine import open_bundle; "
        "open_bundle(engine='openvino'); "
        "print([m for m, v in sys.modules.items() if v and m.startswith('openvino_telemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_onnxruntime_keeps_its_use_to_itself(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def run(code: str, **more: str) -> str:
        # Nothing else of the environment, which may forbid it as well (`CI`).
        env = {**home, **paths, **more}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env)
        return done.stdout.decode().strip() or done.stderr.decode()

    code = "from firstread.read.engine import open_bundle; open_bundle(None, 'onnxruntime')"
    assert run(f"{code}; print(1)") == "1"
    # What waits to be sent, and the number it gives the machine, would lie in the cache.
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name]
    # A user who wants it is not overruled.
    told = "import os, firstread; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert [run(told), run(told, ORT_DISABLE_TELEMETRY="0")] == ["1", "0"]


FIRST_LOOKS = """
import faulthandler
from itertools import chain, repeat
from operator import attrgetter
from threading import Lock, Thread
from firstread.read.engine import open_bundle

class Dull:
    data = None

tensor = open_bundle(engine="openvino", threads=2).session._compiled.create_infer_request()
tensor = tensor.get_tensor("film")
gate = Lock()

def look():
    with gate:
        pass
    # Long enough in C that the other thread asks for Python's lock, and has it at the first chance.
    list(map(attrgetter("data"), chain(repeat(Dull, 10**6), [tensor])))

faulthandler.dump_traceback_later(20, exit=True)
with gate:
    threads = [Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
for thread in threads:
    thread.join()
"""


def test_the_first_films_of_two_threads_do_not_wait_for_each_other() -> None:
    pytest.importorskip("openvino")
    done = subprocess.run([sys.executable, "-c", FIRST_LOOKS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Stub:
    """An OpenVINO whose model runs in the process that compiled it, and never in a fork."""

    def __init__(self) -> None:
        self.inputs, self.outputs = {}, [self]
        self.process = os.getpid()

    def get_names(self) -> set[str]:
        return {"logit", "map", "gate"}

    def read_model(self, path: Path) -> "Stub":
        return self

    def reshape(self, shapes: dict[str, list[int]]) -> None: ...

    def compile_model(self, graph: "Stub", device: str, how: dict[str, object]) -> "Stub":
        return Stub()

    def create_infer_request(self) -> "Stub":
        return self

    def infer(self, feed: dict[str, np.ndarray]) -> None:
        if self.process != os.getpid():
            raise RuntimeError("the threads that would run it are not here")

    def get_tensor(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(data=[self.process])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_compiles_its_own_and_keeps_its_parents(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace(Core=Stub))
    session = open_session(bundle, "openvino")
    parents = session._compiled  # type: ignore[attr-defined]
    assert session.run(["logit"], {})[0] == [os.getpid()]

    def compiles_and_keeps() -> bool:
        right = all(session.run(["logit"], {})[0] == [os.getpid()] for _ in range(2))
        return right and engine._LEFT_BEHIND[0][0] is parents

    with engine._COMPILING:
        assert in_child(compiles_and_keeps)
    assert session._compiled is parents  # type: ignore[attr-defined]
