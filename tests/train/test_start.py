"""Going on from a finished run: what is taken over, what is refused, what is told."""

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

import torch
from PIL import Image
from safetensors.torch import save_file

from firstread.cohort.split import SplitPlan, load_split, make_split, save_split
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import Cohort, load_cohort
from firstread.errors import RunError, SplitError, WeightsError
from firstread.evaluate.seen import seen_warnings
from firstread.model.build import build_net
from firstread.model.weights import SCRATCH, Weights
from firstread.read.bundle import Bundle
from firstread.train import finish
from firstread.train.checkpoint import SafeCheckpointIO
from firstread.train.point import reader_of
from firstread.train.run import train
from firstread.train.start import Start, assert_unseen, load_start
from tiny_training import Stop, stopped, tiny_job, tiny_recipe

STILL = {"epochs": 1, "lr": 1e-12, "weight_decay": 0.0, "ema": 0.0}
"""A fit that moves nothing: what comes out is what was started from."""


@pytest.fixture(scope="module")
def first(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with averaged weights."""
    out = tmp_path_factory.mktemp("first") / "run"
    train(tiny_job(films, out, epochs=2, lr=0.01))
    return out


def go_on(films: Path, out: Path, start: Path, **changes: Any) -> dict[str, Any]:
    job = replace(tiny_job(films, out, **{**STILL, **changes}), start=start)
    return train(job)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as f:
        return list(csv.DictReader(f))


def logits(run: Path) -> list[float]:
    return [float(r["logit"]) for r in rows(run / "val.csv")]


def copy(run: Path, to: Path) -> Path:
    shutil.copytree(run, to)
    return to


def state_of(run: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((run / "run.json").read_text())
    return state


def test_it_goes_on_from_the_network_that_was_exported(
    first: Path, films: Path, tmp_path: Path
) -> None:
    out = tmp_path / "second"
    go_on(films, out, first)
    assert np.allclose(logits(out), logits(first), atol=1e-4)
    saved = SafeCheckpointIO().load_checkpoint(first / "checkpoints" / "last.ckpt")
    name = "net.head.layers.0.weight"
    assert not torch.equal(saved["state_dict"][name], saved["current_model_state"][name])


def test_it_goes_on_from_a_run_that_reads_films_mirrored_too(films: Path, tmp_path: Path) -> None:
    how = {"mirror": True, "grain": 0.02}
    train(tiny_job(films, tmp_path / "first", epochs=1, **how))
    go_on(films, tmp_path / "second", tmp_path / "first", **how)
    assert np.allclose(logits(tmp_path / "second"), logits(tmp_path / "first"), atol=1e-4)


def test_it_goes_on_from_a_run_that_reads_films_mirrored_and_smaller(
    films: Path, tmp_path: Path
) -> None:
    """Known by its bundle, which would read otherwise without the second size."""
    how = {"arch": "resnet10", "mirror": True, "mirror_size": 24}
    train(tiny_job(films, tmp_path / "first", epochs=1, **how))
    go_on(films, tmp_path / "second", tmp_path / "first", **how)
    state = json.loads((tmp_path / "first" / "run.json").read_text())
    del state["recipe"]["mirror_size"]
    (tmp_path / "first" / "run.json").write_text(json.dumps(state))
    with pytest.raises(RunError, match="does not read films as its bundle does"):
        go_on(films, tmp_path / "third", tmp_path / "first", **how)


def test_what_is_read_may_be_evened_further_than_what_was_learnt_from(
    films: Path, tmp_path: Path
) -> None:
    how = {"grain": 0.02, "epochs": 1}
    train(tiny_job(films, tmp_path / "plain", **how))
    train(tiny_job(films, tmp_path / "finer", **how, read_grain=0.002))
    saved = [
        SafeCheckpointIO().load_checkpoint(tmp_path / run / "checkpoints" / "last.ckpt")
        for run in ("plain", "finer")
    ]
    name = "net.head.layers.0.weight"
    assert torch.equal(saved[0]["state_dict"][name], saved[1]["state_dict"][name])
    assert not np.allclose(logits(tmp_path / "finer"), logits(tmp_path / "plain"), atol=1e-3)
    again = finish.made_again(tmp_path / "finer", load_cohort(films), tmp_path / "again", None)
    films_seen = np.random.default_rng(0).integers(0, 256, (3, 32, 32), np.uint8)
    graphs = [again.onnx_path, Bundle.load(tmp_path / "finer" / "bundle").onnx_path]
    once_more, before = (reader_of(path.read_bytes())(films_seen) for path in graphs)
    assert np.allclose(once_more, before, atol=1e-5)
    # And what is exported so can be gone on from, whatever the next one reads.
    go_on(films, tmp_path / "second", tmp_path / "finer", grain=0.02)
    assert np.allclose(logits(tmp_path / "second"), logits(tmp_path / "plain"), atol=1e-4)


def trainable_part(run: Path, cohort: Cohort) -> Cohort:
    """Three of the films that a run was trained on."""
    files = [row["file"] for row in rows(run / "split.csv") if row["part"] == "train"][:3]
    return cohort.subset(i for i, row in enumerate(cohort.rows) if row.file in files)


def test_the_run_and_its_card_tell_where_it_comes_from(
    first: Path, films: Path, tmp_path: Path
) -> None:
    second, third = tmp_path / "second", tmp_path / "third"
    state = go_on(films, second, first)
    before = state_of(first)
    origin = state["start"]
    assert before["start"] is None
    assert origin["identity"] == before["identity"]
    assert origin["weights"] == before["weights"] == state["weights"]
    assert origin["licence"] == "Apache-2.0"
    assert state["identity"] != before["identity"]
    assert rows(second / "start.csv") == [
        r for r in rows(first / "split.csv") if r["part"] == "train"
    ]

    others = write_folder(tmp_path / "others", 24, seed=2, size=48)
    assert go_on(others, third, second)["start"]["start"] == origin
    card = Bundle.load(third / "bundle").card.raw
    assert card["training"]["start"]["start"]["identity"] == before["identity"]
    assert card["data"]["earlier_sha256"] == [before["data_sha256"]] * 2
    assert "start" not in Bundle.load(first / "bundle").card.raw["training"]
    assert len(rows(third / "start.csv")) == 2 * before["films"]["train"]
    # Films that only the first of the three was trained on are not new to the third.
    cohort = load_cohort(films)
    assert "very films" in seen_warnings(cohort, card["data"], None)[0]
    (alone,) = seen_warnings(trainable_part(first, cohort), card["data"], None)
    assert "are among the model's training films" in alone
    said = seen_warnings(cohort.subset(range(10)), card["data"], third)
    assert any("among the run's training films" in s for s in said)


@pytest.mark.skipif(sys.platform != "linux", reason="names are no bytes there")
def test_a_name_that_is_no_utf8_is_known_again(tmp_path: Path) -> None:
    """Its film by another copy's bytes, so that only the name can tell."""
    root = write_folder(tmp_path / "films", 12, size=16)
    odd = root / "NORMAL" / os.fsdecode(b"M\xfcller.jpeg")
    (root / "NORMAL" / "IM-0001-0001.jpeg").rename(odd)
    split = make_split(load_cohort(root), SplitPlan("patient"))
    run = tmp_path / "run"
    trained = replace(split, rows=tuple(replace(r, part="train") for r in split.rows))
    save_split(trained, run / "split.csv")
    save_split(split, run / "val.csv")
    start = Start(run, SCRATCH, {}, "", {}, tuple(rows(run / "split.csv")), frozenset(split.hashes))
    Image.new("L", (16, 16), 99).save(odd)
    again = load_cohort(root)
    only = again.subset(i for i, r in enumerate(again.rows) if r.path == odd)
    as_val = replace(only, rows=tuple(replace(r, part="val") for r in only.rows))
    assert_unseen(start, as_val)  # of no source in common: another's film may be called so
    one_more = replace(split, rows=(*as_val.rows, trained.rows[0]))
    with pytest.raises(SplitError, match=r"1 validation film \(first: NORMAL/M"):
        assert_unseen(start, one_more)
    said = seen_warnings(one_more, {}, run)
    assert any("1 of 2 films are among" in s for s in said)
    assert any("2 of 2 films are of patients" in s for s in said)
    assert any("2 of 2 films are validation films" in s for s in said)


@pytest.mark.parametrize("lost", ["lines", "file"])
def test_what_was_learnt_before_is_told_in_full_or_the_run_is_not_gone_on_from(
    lost: str, first: Path, films: Path, tmp_path: Path
) -> None:
    job = replace(tiny_job(films, tmp_path / "second", **STILL), start=first)
    train(job)
    told = tmp_path / "second" / "start.csv"
    whole = told.read_bytes()
    told.write_bytes(b"".join(whole.splitlines(keepends=True)[:-3]))
    if lost == "file":
        told.unlink()
    third = replace(job, start=job.out, out=tmp_path / "third")
    with pytest.raises(RunError, match=r"start.csv: films are missing; run its `firstread train`"):
        train(third)
    train(job)
    assert told.read_bytes() == whole
    assert train(third)["finished"] is True


def test_the_best_epoch_is_taken_where_that_was_kept(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from firstread.train import module

    aucs = [0.9, 0.5, 0.5]
    with monkeypatch.context() as patch:
        patch.setattr(module, "binary_auroc", lambda *_: torch.tensor(aucs.pop(0)))
        train(tiny_job(films, tmp_path / "a", epochs=3, patience=3, lr=0.01))
    go_on(films, tmp_path / "b", tmp_path / "a")
    assert np.allclose(logits(tmp_path / "b"), logits(tmp_path / "a"), atol=1e-4)


def test_resumed_it_is_the_same_run(
    first: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"lr": 1e-3, "freeze": "base"}
    go_on(films, tmp_path / "whole", first, **changes)
    with monkeypatch.context() as patch:
        patch.setattr(finish, "to_onnx", stopped)
        with pytest.raises(Stop):
            go_on(films, tmp_path / "run", first, **changes)
    go_on(films, tmp_path / "run", first, **changes)
    assert logits(tmp_path / "run") == logits(tmp_path / "whole")
    alone = tiny_job(films, tmp_path / "run", **{**STILL, **changes})
    with pytest.raises(RunError, match=r"holds another run .*start"):
        train(replace(alone, weights="none"))


def test_a_weight_s_own_padding_is_found_again(films: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    trunk = build_net("mobilenet_v2", 32, 0.0, Weights(SCRATCH, {})).trunk
    told = {"padding": "SAME", "input": "[-1, 1]", "licence": "Some", "source": "here"}
    tensors = {k: v.contiguous() for k, v in trunk.state_dict().items()}
    save_file(tensors, tmp_path / "w.safetensors", metadata=told)
    changes = {"arch": "mobilenet_v2", "pretrained": True, "epochs": 1}
    job = tiny_job(films, tmp_path / "a", **changes)
    train(replace(job, weights=str(tmp_path / "w.safetensors")))
    start = load_start(tmp_path / "a", tiny_recipe(**changes, seed=1))
    assert start.weights.record.padding == "same"
    assert start.weights.record.licence == "Some"


def unfinished(run: Path) -> None:
    (run / "run.json").write_text(json.dumps(state_of(run) | {"finished": False}))


def of_another_epoch(run: Path) -> None:
    """The plain weights in the place of the averaged ones."""
    path = run / "checkpoints" / "last.ckpt"
    saved = SafeCheckpointIO().load_checkpoint(path)
    SafeCheckpointIO().save_checkpoint({**saved, "state_dict": saved["current_model_state"]}, path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "not a training run"),
        (lambda run: (run / "run.json").write_text("{"), "damaged"),
        (lambda run: (run / "run.json").write_text('{"finished": true}'), "not a run of films"),
        (unfinished, "not finished"),
        (lambda run: shutil.rmtree(run / "bundle"), "not finished"),
        (lambda run: shutil.rmtree(run / "checkpoints"), "a search keeps none"),
        (lambda run: (run / "split.csv").unlink(), "whom the run was trained on"),
        (of_another_epoch, "does not read films as its bundle does"),
    ],
)
def test_a_run_that_is_not_whole_is_refused(
    spoil: Callable[[Path], Any], said: str, first: Path, films: Path, tmp_path: Path
) -> None:
    spoiled = copy(first, tmp_path / "spoiled")
    spoil(spoiled)
    with pytest.raises(RunError, match=said) as e:
        go_on(films, tmp_path / "run", spoiled)
    assert "\n" not in str(e.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arch": "mobilenet_v2"}, "is a cnn and the recipe wants a mobilenet_v2"),
        ({"size": 64}, "made for 32 px, not for 64 px; give --size 32"),
        ({"standardise": True}, "was trained with standardise = false"),
        ({"smooth": 1.0}, "was trained with smooth = 0.0, the recipe has 1.0"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(
    changes: dict[str, Any], said: str, first: Path, films: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=said):
        go_on(films, tmp_path / "run", first, **changes)
    assert not (tmp_path / "run").exists()


def test_two_sources_of_weights_are_refused(first: Path, films: Path, tmp_path: Path) -> None:
    job = replace(tiny_job(films, tmp_path / "run"), start=first, weights="none")
    with pytest.raises(WeightsError, match="leave --weights or --start away"):
        train(job)


def test_validation_on_those_it_learnt_from_is_refused(
    first: Path, films: Path, tmp_path: Path
) -> None:
    cohort = load_cohort(films)
    save_split(make_split(cohort, SplitPlan(block=1)), tmp_path / "other.csv")
    job = replace(
        tiny_job(films, tmp_path / "run", **STILL), start=first, split=tmp_path / "other.csv"
    )
    with pytest.raises(SplitError, match=r"was trained on the patients of \d+ validation films"):
        train(job)
    # Nor on the same films at another size, whose bytes are others.
    for row in cohort.rows:
        (tmp_path / "large" / row.file).parent.mkdir(parents=True, exist_ok=True)
        Image.open(row.path).resize((64, 64)).save(tmp_path / "large" / row.file)
    large = load_cohort(tmp_path / "large")
    save_split(make_split(large, SplitPlan(block=1)), tmp_path / "large.csv")
    with pytest.raises(SplitError, match=r"validation film.* would flatter"):
        train(replace(job, films=large, split=tmp_path / "large.csv"))
    # Nor may what is kept apart for one look at the end be of its patients.
    split = load_split(first / "split.csv", cohort)
    new = sorted({row.patient for row in split.part("val").rows if row.label == 1})[:1]
    known = sorted({row.patient for row in split.part("train").rows if row.label == 1})[:1]
    for patients, what in ((known, "test film"), (new, None)):
        apart = [replace(r, part="test") if r.patient in patients else r for r in split.rows]
        save_split(split.retold(apart), tmp_path / "apart.csv")
        again = replace(job, split=tmp_path / "apart.csv")
        if what is None:
            assert_unseen(load_start(first, job.recipe), load_split(again.split, cohort))
        else:
            with pytest.raises(SplitError, match=f"was trained on the patients of .* {what}"):
                train(again)
    assert not (tmp_path / "run").exists()


def test_another_hospital_s_films_may_bear_the_same_names(tmp_path: Path) -> None:
    """Names that say nothing of a patient: equal ones are other people unless a film is shared."""
    for seed, name in ((3, "here"), (4, "there")):
        write_folder(tmp_path / "drawn" / name, 12, seed=seed, size=48)
        for kind in ("NORMAL", "PNEUMONIA"):
            folder = tmp_path / name / kind
            folder.mkdir(parents=True)
            for i, film in enumerate(sorted((tmp_path / "drawn" / name / kind).iterdir())):
                shutil.copy(film, folder / f"{i}.jpeg")
    here, there = tmp_path / "here", tmp_path / "there"
    train(tiny_job(here, tmp_path / "a", epochs=1))
    split = make_split(load_cohort(there), SplitPlan(block=1))
    save_split(split, tmp_path / "there.csv")
    job = tiny_job(there, tmp_path / "b", **STILL)
    job = replace(job, start=tmp_path / "a", split=tmp_path / "there.csv")
    assert train(job)["finished"] is True
    # One film in common, and a name is a name.
    shared = next(r for r in split.rows if r.part == "train")
    shutil.copy(here / shared.file, there / shared.file)
    films = load_cohort(there)
    save_split(make_split(films, SplitPlan(block=1)), tmp_path / "shared.csv")
    job = replace(job, films=films, out=tmp_path / "c", split=tmp_path / "shared.csv")
    with pytest.raises(SplitError, match="would flatter"):
        train(job)
