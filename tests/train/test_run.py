"""Runs as a whole: killed and resumed, finished, another's; and which films they may see."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

import lightning.pytorch as pl
import torch

from firstread.cohort import cache as cache_room
from firstread.cohort.split import SplitPlan, make_split, save_split
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import Cohort, load_cohort
from firstread.errors import FilmError, RunError, SplitError, WeightsError
from firstread.read.bundle import Bundle
from firstread.train import finish, module
from firstread.train import parts as parts_room
from firstread.train.checkpoint import SafeCheckpointIO
from firstread.train.record import told_of
from firstread.train.run import train
from tiny_training import Stop, StopAt, stopped, tiny_job

KILLED = """
import os, signal, sys
import torch
from lightning.pytorch.callbacks import Callback
torch.set_num_threads(1)
from pathlib import Path
from firstread.train.run import train
from tiny_training import Stop, StopAt, stopped, tiny_job

class Kill(Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.current_epoch == 2 and batch_idx == 1:
            os.kill(os.getpid(), signal.SIGKILL)

train(tiny_job(Path(sys.argv[1]), Path(sys.argv[2])), callbacks=(Kill(),))
"""


PRESSED = """
import os, signal, sys
from lightning.pytorch.callbacks import Callback
from pathlib import Path
from firstread.train.run import train
from tiny_training import Stop, StopAt, stopped, tiny_job

class Press(Callback):
    def on_train_batch_end(self, *_):
        os.kill(os.getpid(), number)

signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGINT, signal.SIGTERM):
    try:
        train(tiny_job(Path(sys.argv[1]), Path(sys.argv[2]) / number.name), callbacks=(Press(),))
    except KeyboardInterrupt:
        print(number.name, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def weights(run: Path) -> dict[str, Any]:
    """What a run's last checkpoint says of the network, its averages and the optimiser."""
    saved = SafeCheckpointIO().load_checkpoint(run / "checkpoints" / "last.ckpt")
    keys = ("state_dict", "current_model_state", "averaging_state", "optimizer_states")
    return {key: saved.get(key) for key in (*keys, "lr_schedulers", "epoch", "global_step")}


def assert_equal(a: Any, b: Any) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_equal(one, other)
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b


def history(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as f:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(f)]


def assert_same(a: Path, b: Path) -> None:
    assert (a / "val.csv").read_bytes() == (b / "val.csv").read_bytes()
    assert history(a) == history(b)
    assert_equal(weights(a), weights(b))
    assert (a / "bundle/model.onnx").read_bytes() == (b / "bundle/model.onnx").read_bytes()


@pytest.fixture(scope="module")
def whole(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(tiny_job(films, out, gate=True))
    return out


def test_a_run_holds_what_it_promises(whole: Path, films: Path) -> None:
    state = json.loads((whole / "run.json").read_text())
    assert state["finished"] is True
    assert state["epochs_run"] == 4
    assert state["data_sha256"] == load_cohort(films).data_hash()
    assert state["weights"]["name"] == "none"
    assert set(state["versions"]) >= {"torch", "lightning", "firstread"}
    assert state["films"] == {"train": 44, "val": 4}
    assert json.loads((whole / "recipe.json").read_text())["arch"] == "cnn"
    assert (whole / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len(history(whole)) == 4
    bundle = Bundle.load(whole / "bundle")
    assert bundle.name == "tiny-cnn-32-seed0"
    assert bundle.card.raw["training"]["recipe"]["epochs"] == 4
    assert bundle.card.raw["data"]["films"] == 44
    assert bundle.card.ages == (1, 5)  # by the names of the films


def test_killed_and_resumed_is_the_run_never_stopped(
    whole: Path, films: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    place = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(films), str(out)],
        env=place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(history(out)) == 2
    assert json.loads((out / "run.json").read_text())["finished"] is False
    said: list[str] = []
    train(tiny_job(films, out, gate=True), said.append)
    assert "resumed after epoch 2" in said
    assert_same(whole, out)


@pytest.mark.parametrize("changes", [{"ema": 0.9}, {"ema": 0.0}], ids=["averaged", "plain"])
def test_killed_while_the_bundle_is_made(
    changes: dict[str, Any],
    whole: Path,
    films: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All epochs are done; what is left must be made from the averaged weights."""
    gate = bool(changes["ema"])
    if not gate:
        train(tiny_job(films, tmp_path / "whole", **changes))
        whole = tmp_path / "whole"
    out = tmp_path / "run"

    with monkeypatch.context() as patch:
        patch.setattr(finish, "to_onnx", stopped)
        with pytest.raises(Stop):
            train(tiny_job(films, out, **changes))
    state = train(tiny_job(films, out, gate, **changes))
    assert state["epochs_run"] == 4
    assert_same(whole, out)


@pytest.fixture
def aucs(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[float]], None]:
    """Put given validation AUCs, one an epoch, in the place of the measured ones."""

    def put(values: list[float]) -> None:
        monkeypatch.setattr(module, "binary_auroc", lambda *_: torch.tensor(values.pop(0)))

    return put


def test_patience_keeps_the_best_epoch_also_when_killed(
    films: Path,
    tmp_path: Path,
    aucs: Callable[[list[float]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = {"epochs": 6, "patience": 2}
    aucs([0.5, 0.8, 0.7, 0.6, 0.9, 0.9])
    whole = tmp_path / "whole"
    state = train(tiny_job(films, whole, **changes))
    assert state["epochs_run"] == 4
    assert state["val_auc"] == pytest.approx(0.8)

    out = tmp_path / "run"
    aucs([0.5, 0.8, 0.7])
    with pytest.raises(Stop):
        train(tiny_job(films, out, **changes), callbacks=(StopAt(3),))
    aucs([0.6, 0.9, 0.9])
    with monkeypatch.context() as patch:
        patch.setattr(finish, "to_onnx", stopped)
        with pytest.raises(Stop):
            train(tiny_job(films, out, **changes))
    aucs([0.9, 0.9])  # not asked for: the fit had ended
    assert train(tiny_job(films, out, **changes))["epochs_run"] == 4
    assert_same(whole, out)


def test_a_run_that_was_moved_still_knows_its_best_epoch(
    films: Path, tmp_path: Path, aucs: Callable[[list[float]], None]
) -> None:
    changes = {"epochs": 6, "patience": 3}
    aucs([0.5, 0.9, 0.6, 0.7, 0.65])
    train(tiny_job(films, tmp_path / "whole", **changes))
    aucs([0.5, 0.9, 0.6, 0.7, 0.65])
    with pytest.raises(Stop):
        train(tiny_job(films, tmp_path / "here", **changes), callbacks=(StopAt(3),))
    shutil.move(tmp_path / "here", tmp_path / "there")
    train(tiny_job(films, tmp_path / "there", **changes))
    assert_same(tmp_path / "whole", tmp_path / "there")


def test_an_epoch_that_diverged_is_never_the_best(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logits that are no numbers rank as the films lie: normal ones first."""
    real = module.FilmFit._logits

    def logits(self: Any, pixels: torch.Tensor) -> torch.Tensor:
        found = real(self, pixels)
        return found * torch.nan if self.current_epoch and not torch.is_grad_enabled() else found

    monkeypatch.setattr(module.FilmFit, "_logits", logits)
    state = train(tiny_job(films, tmp_path / "run", epochs=3, patience=3))
    rows = history(tmp_path / "run")
    assert [row["val_auc"] for row in rows[1:]] == ["0", "0"]
    assert state["val_auc"] == pytest.approx(float(rows[0]["val_auc"]), abs=1e-5)


def test_a_signal_to_end_is_told_as_an_interrupt(films: Path, tmp_path: Path) -> None:
    # In a process of its own: what OpenVINO leaves in one may end it at the next signal.
    ours = {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PRESSED, str(films), str(tmp_path)],
        env={**os.environ, **ours},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [x for x in done.stdout.splitlines() if x.startswith("SIG")] == [
        "SIGINT True",
        "SIGTERM True",
    ]
    assert not list(tmp_path.rglob("bundle"))


def test_a_finished_run_is_left_alone(whole: Path, films: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in whole.rglob("*") if p.is_file()}
    said: list[str] = []
    assert train(tiny_job(films, whole), said.append)["finished"] is True
    assert "finished already" in said[-1]
    assert {p: p.stat().st_mtime_ns for p in whole.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("gone", ["val.csv", "bundle/card.json"])
def test_what_is_gone_of_a_finished_run_is_made_again(
    gone: str, whole: Path, films: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    (out / gone).unlink()
    said: list[str] = []
    state = train(tiny_job(films, out, gate=True), said.append)
    assert f"lacks {gone}" in said[0]
    assert_same(whole, out)
    assert state["train_seconds"] == json.loads((whole / "run.json").read_text())["train_seconds"]
    (out / gone).unlink()
    shutil.rmtree(out / "checkpoints")
    with pytest.raises(RunError, match="and its checkpoint; delete it to train anew"):
        train(tiny_job(films, out))


def test_another_recipe_or_other_films_are_refused(
    whole: Path, films: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="holds another run"):
        train(tiny_job(films, whole, lr=0.01))
    others = write_folder(tmp_path / "others", 24, seed=2, size=48)
    with pytest.raises(RunError, match="holds another run"):
        train(tiny_job(others, whole))


def test_the_size_a_table_tells_is_part_of_a_run_that_keeps_the_aspect(films: Path) -> None:
    cohort = load_cohort(films)
    rows = [
        replace(r, extra={"original_width": "96", "original_height": "48"}) for r in cohort.rows
    ]
    told = Cohort(cohort.root, tuple(rows))
    assert told_of(told, "squash") == told_of(cohort, "squash") == told_of(cohort, "centre")
    assert told_of(told, "centre") != told_of(cohort, "centre")


def test_a_run_keeps_the_precision_it_began_with(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []

    class Watch(pl.Callback):
        def on_train_epoch_start(self, trainer: pl.Trainer, module: Any) -> None:
            used.append(str(trainer.precision))
            if len(used) == 2:
                raise Stop

    job = tiny_job(films, tmp_path / "run", precision="bf16-if-fast")
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    with pytest.raises(Stop):
        train(job, callbacks=(Watch(),))
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    state = train(job, callbacks=(Watch(),))
    assert {*used, state["precision"]} == {"32-true"}


def test_weights_that_do_not_fit_leave_no_folder_in_the_way(films: Path, tmp_path: Path) -> None:
    torch.save({"features.0.0.weight": torch.zeros(2, 3)}, tmp_path / "w.pth")
    job = tiny_job(films, tmp_path / "run", arch="mobilenet_v2", pretrained=True)
    with pytest.raises(WeightsError):
        train(replace(job, weights=str(tmp_path / "w.pth")))
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("error:The given NumPy array is not writable")
def test_a_frozen_base_reads_the_cache_without_a_warning(films: Path, tmp_path: Path) -> None:
    changes = {"freeze": "base", "augment": {}, "epochs": 1, "arch": "resnet10"}
    job = replace(tiny_job(films, tmp_path / "run", **changes), weights="none")
    assert train(job)["feature_seconds"] > 0


def test_a_part_of_one_class_is_refused_before_the_fit(films: Path, tmp_path: Path) -> None:
    job = tiny_job(films, tmp_path / "run")
    split = make_split(job.films, SplitPlan())
    kept = [r for r in split.rows if r.part == "train" or r.label == 0]
    save_split(Cohort(split.root, tuple(kept)), tmp_path / "s.csv")
    with pytest.raises(SplitError, match="part val holds no pneumonia film"):
        train(replace(job, split=tmp_path / "s.csv"))
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_the_films_it_began_with(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share that failed for a moment: the schedule counts the steps of the films that were."""
    monkeypatch.setenv("FIRSTREAD_CACHE", str(tmp_path / "cache"))
    cohort = load_cohort(films)
    some = make_split(cohort, SplitPlan()).part("train").paths
    lost = {*some[:6]}
    decode = cache_room.decode

    def failing(path: Path, **how: Any) -> Any:
        if path in lost:
            raise FilmError("the file cannot be opened (Input/output error)")
        return decode(path, **how)

    with monkeypatch.context() as patch:
        patch.setattr(cache_room, "decode", failing)
        train(tiny_job(films, tmp_path / "whole"))
        job = tiny_job(films, tmp_path / "run")
        with pytest.raises(Stop):
            train(job, callbacks=(StopAt(2),))
        again = tiny_job(films, tmp_path / "again")
        with pytest.raises(Stop):
            train(again, callbacks=(StopAt(0),))
        lost.add(some[7])
        shutil.rmtree(tmp_path / "cache")
        with pytest.raises(RunError, match="1 film that training began with cannot be decoded"):
            train(job)
    said: list[str] = []
    assert len(train(job, said.append)["failed_films"]) == 6
    assert "left out as when training began, decodable by now: 6 films" in said
    assert_same(tmp_path / "whole", job.out)
    assert train(again)["failed_films"] == [], "nothing was learnt without them yet"


def test_a_split_that_lost_lines_is_whole_again_when_the_run_goes_on(
    films: Path, tmp_path: Path
) -> None:
    job = tiny_job(films, tmp_path / "run", epochs=1)
    with pytest.raises(Stop):
        train(job, callbacks=(StopAt(0),))
    split = tmp_path / "run" / "split.csv"
    whole = split.read_bytes()
    split.write_bytes(b"".join(whole.splitlines(keepends=True)[:-3]))
    train(job)
    assert split.read_bytes() == whole
    split.write_bytes(b"".join(whole.splitlines(keepends=True)[:-3]))
    train(job)  # that is finished by now
    assert split.read_bytes() == whole


def test_corrected_labels_make_another_run(whole: Path, films: Path) -> None:
    job = tiny_job(films, whole)
    rows = (replace(job.films.rows[0], label=1), *job.films.rows[1:])
    with pytest.raises(RunError, match="films or labels differ"):
        train(replace(job, films=Cohort(job.films.root, rows)))


def test_a_broken_film_is_told_and_the_run_can_be_exported(tmp_path: Path) -> None:
    films = write_folder(tmp_path / "films", 24, seed=3, size=48)
    load_cohort(films).paths[0].write_bytes(b"no film")
    job = tiny_job(films, tmp_path / "run", epochs=1)
    state = train(job)
    assert len(state["failed_films"]) == 1
    told = Bundle.load(tmp_path / "run" / "bundle").card.raw["data"]
    assert told["films"] + told["validation_films"] == 47
    finish.made_again(tmp_path / "run", load_cohort(films), tmp_path / "again", None)
    assert Bundle.load(tmp_path / "again").card.raw["data"]["films"] == told["films"]


def test_a_folder_that_is_no_run_is_refused(films: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("private")
    with pytest.raises(RunError, match="not empty and no run of ours"):
        train(tiny_job(films, tmp_path))
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "run.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        train(tiny_job(films, damaged))


def test_a_damaged_checkpoint_is_said(films: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(Stop):
        train(tiny_job(films, out), callbacks=(StopAt(1),))
    last = out / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(RunError, match="the checkpoint is damaged"):
        train(tiny_job(films, out))


def test_killed_while_the_folder_was_opened(films: Path, tmp_path: Path) -> None:
    """Nothing but run.json and the leftover of a write: taken up, and recipe.json made."""
    out = tmp_path / "run"
    out.mkdir()
    (out / ".run.json.0123.part").write_text("{")
    with pytest.raises(Stop):
        train(tiny_job(films, out), callbacks=(StopAt(0),))
    (out / "recipe.json").unlink()
    with pytest.raises(Stop):
        train(tiny_job(films, out), callbacks=(StopAt(0),))
    assert (out / "recipe.json").is_file()


def test_a_fit_that_diverges_is_said(films: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="diverged"):
        train(tiny_job(films, tmp_path / "run", lr=1e30, epochs=2))


class Watch(pl.Callback):
    """Counts the films a fit was trained and validated on."""

    def __init__(self) -> None:
        self.train = 0
        self.val = 0

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.train += len(batch[1])

    def on_validation_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.val += len(batch[1])


def test_the_official_val_and_test_are_never_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only films below train/ are decoded, and those of validation never learnt from."""
    root = tmp_path / "films"
    for part, n in (("train", 16), ("val", 4), ("test", 8)):
        write_folder(root, n, size=48, part=part)
    used: dict[str, list[str]] = {}
    decoded = parts_room._decoded

    def spy(part: Any, how: Any, name: str, *more: Any) -> Any:
        used[name] = [row.file for row in part.rows]
        return decoded(part, how, name, *more)

    monkeypatch.setattr(parts_room, "_decoded", spy)
    seen = Watch()
    job = tiny_job(root, tmp_path / "run", epochs=1)
    train(job, callbacks=(seen,))
    assert all(f.startswith("train/") for part in used.values() for f in part)
    assert set(used) == {"train", "val"}
    assert not set(used["train"]) & set(used["val"])
    patients = {name: {r.patient for r in job.films.rows if r.file in used[name]} for name in used}
    assert not patients["train"] & patients["val"]
    with (job.out / "val.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert [r["file"] for r in rows] == used["val"]
    assert seen.val == len(used["val"])
    assert seen.train == len(used["train"]) // 8 * 8


def test_a_run_can_be_read_with(whole: Path, films: Path) -> None:
    """The bundle gives the films of val.csv the logits that stand there."""
    from firstread import Reader

    reader = Reader(whole / "bundle")
    with (whole / "val.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    read = [reader.read(films / r["file"]).logit for r in rows]
    assert np.allclose(read, [float(r["logit"]) for r in rows], atol=2e-3)
