"""The studies of the verb `evaluate`: asked for, they stand in the JSON, the table and the page."""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx")

import firstread
from bundles import tiny_bundle
from firstread.cli.main import main

STUDIES = ("corruptions", "occlusion", "heat_energy", "map_curves", "recalibration")


def make_films(root, n, seed=0):
    """`n` films a class, 48 x 40, named as in the Guangzhou set; those with pneumonia brighter."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        for name, middle in (
            (f"NORMAL/IM-{i + 1:04d}-0001.png", 112),
            (f"PNEUMONIA/person{i + 1}_virus_{i}.png", 144),
        ):
            film = rng.normal(middle, 22) + np.linspace(-60, 60, 48) + rng.normal(0, 8, (40, 48))
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(film, 0, 255).astype(np.uint8)).save(path)
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_films(tmp_path_factory.mktemp("few"), 12)


@pytest.fixture(scope="module")
def masks(folder, tmp_path_factory):
    """A block in the middle of each film but the first, as a 1-bit PNG."""
    root = tmp_path_factory.mktemp("masks")
    for path in sorted(folder.rglob("*.png"))[1:]:
        mask = np.zeros((40, 48), bool)
        mask[8:30, 10:40] = True
        to = root / path.relative_to(folder)
        to.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(to)
    return root


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture
def evaluate(bundle, tmp_path):
    """Run the verb; returns the exit code, the JSON and the page."""

    def run(*words, html=True):
        numbers, page = tmp_path / "metrics.json", tmp_path / "report.html"
        words = ["evaluate", bundle, *words, "--json", numbers, *(["--html", page] * html)]
        code = main([str(w) for w in words])
        if not numbers.exists():
            return code, {}, ""
        return code, json.loads(numbers.read_text()), page.read_text(encoding="utf-8")

    return run


def test_unasked_none_is_made(evaluate, folder):
    code, result, page = evaluate("--data", folder)
    assert code == 0
    assert not set(STUDIES) & set(result)
    assert "painted over" not in page


def test_corruptions(evaluate, tmp_path, capsys):
    films = make_films(tmp_path / "films", 4)
    code, result, page = evaluate("--data", films, "--corruptions", "--seed", "3")
    assert code == 0
    study = result["corruptions"]
    assert study["seed"] == 3
    assert len(study["families"]) == 13
    assert study["clean"]["value"] == pytest.approx(1 - result["balanced_accuracy"]["value"])
    assert result["command"].endswith("--corruptions")
    assert "When the film gets worse" in page
    assert "speckle noise" in page
    out = capsys.readouterr().out
    assert "corrupted films: balanced error" in out
    assert "jpeg_compression" in out


def test_occlusion_and_heat(evaluate, folder, masks, capsys):
    words = ["--occlude", "box", "--occlude", "silhouette", "--occlude", "box", "--heat-energy"]
    code, result, page = evaluate("--data", folder, *words, "--masks", masks)
    assert code == 0
    assert [s["how"] for s in result["occlusion"]] == ["box", "silhouette"]
    silhouette = result["occlusion"][1]
    assert (silhouette["n"], silhouette["n_left_out"]) == (23, 1)
    heat = result["heat_energy"]
    assert (heat["n"], heat["n_left_out"]) == (23, 1)
    assert isinstance(heat["randomised"]["changed"], bool)
    assert "--occlude box --occlude silhouette --masks" in result["command"]
    assert "--heat-energy" in result["command"]
    assert "With the lungs painted over" in page
    assert "Where the heat lies" in page
    out = capsys.readouterr().out
    assert "box painted over: AUC" in out
    assert "silhouette painted over: AUC" in out
    assert "23 films, 1 left out" in out
    assert "heat inside the lungs" in out


def test_map_curves(evaluate, folder, capsys):
    code, result, page = evaluate("--data", folder, "--map-curves", "5", "--seed", "1")
    assert code == 0
    study = result["map_curves"]
    assert study["n"] == 5
    called = sum(f["probability"] >= result["threshold"] for f in result["films"])
    assert study["n_called"] == called > 5
    assert "--map-curves 5" in result["command"]
    assert "Whether the answer hangs on the map" in page
    assert "Insertion: the higher, the better" in page
    out = capsys.readouterr().out
    assert "map curves (5 films), area of map, random order, random weights:" in out
    assert "the map does NOT hold" in out


def test_map_curves_where_nothing_is_called_pneumonia(bundle, folder, tmp_path, capsys):
    card = json.loads((bundle / "card.json").read_text())
    strict = {**card["thresholds"], "decision": {"value": 0.999, "how": "by hand"}}
    high = tiny_bundle(tmp_path / "high", thresholds=strict, refer=card["refer"])
    out, page = tmp_path / "m.json", tmp_path / "r.html"
    words = ["evaluate", high, "--data", folder, "--map-curves", "--json", out, "--html", page]
    assert main([str(w) for w in words]) == 0
    assert json.loads(out.read_text())["map_curves"]["n"] == 0
    assert "no map to judge" in page.read_text(encoding="utf-8")
    assert "no map to judge" in capsys.readouterr().out
    assert "--map-curves 100" in json.loads(out.read_text())["command"]


@pytest.mark.usefixtures("at_once")
def test_recalibration_within_the_table_and_on_another(evaluate, tmp_path, capsys):
    films = make_films(tmp_path / "here", 80)
    code, result, page = evaluate("--data", films, "--recalibrate-on", films)
    assert code == 0
    study = result["recalibration"]
    assert (study["n_local"], study["films"], study["repeats"]) == (160, 100, 200)
    assert study["n_judged"]["value"] == pytest.approx(60)
    assert "After recalibration on 100 local films" in page
    said = capsys.readouterr()
    assert "recalibrated on 100 local films" in said.out
    assert said.err.endswith("recalibrating: 200 of 200 draws\n")

    there = make_films(tmp_path / "there", 60, seed=1)
    (tmp_path / "there/films.csv").write_text(
        "file,label,patient\n"
        + "".join(
            f"{p.relative_to(there)},{p.parent.name},other {p.stem}\n"
            for p in sorted(there.rglob("*.png"))
        )
    )
    code, result, _ = evaluate("--data", films, "--recalibrate-on", there / "films.csv", html=False)
    assert code == 0
    assert result["recalibration"]["n_local"] == 120
    assert result["n"] == 160
    assert "films.csv" in result["recalibration"]["source"]
    assert str(tmp_path) not in json.dumps(result)
    said = capsys.readouterr().err
    for what in ("hashing", "read", "headers"):
        assert f"--recalibrate-on: {what}: 120 of 120 films" in said


def test_a_table_of_films_the_model_was_made_from_is_warned_of(tmp_path):
    from firstread.cohort.table import load_cohort

    films, local = make_films(tmp_path / "here", 60), make_films(tmp_path / "there", 60, seed=1)
    data = {"source": "", "films": 120, "patients": 1, "sha256": load_cohort(local).data_hash()}
    bundle = tiny_bundle(tmp_path / "bundle", data=data)
    out = tmp_path / "m.json"
    words = ["--data", films, "--recalibrate-on", local, "--json", out]
    # The names of the files tell that both hold the same patients, so nobody is left to judge.
    assert main(["evaluate", str(bundle), *map(str, words)]) == 2
    for path in sorted(local.rglob("*.png")):
        path.rename(path.with_name(f"other_{path.name}"))
    assert main(["evaluate", str(bundle), *map(str, words)]) == 0
    *_, warning = json.loads(out.read_text())["warnings"]
    assert warning.startswith("--recalibrate-on: these are the very films")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--heat-energy", "--masks", "nowhere"], "no such folder"),
        (["--masks", "MASKS"], "--masks is for"),
        (["--recalibrate-on", "nowhere.csv"], "nowhere.csv"),
        (["--recalibrate-on", "FILMS"], "24 local films are too few"),
    ],
)
def test_what_is_missing_is_said_in_one_line(evaluate, folder, masks, capsys, words, said):
    places = {"FILMS": folder, "MASKS": masks}
    code, result, _ = evaluate("--data", folder, *[places.get(w, w) for w in words])
    assert (code, result) == (2, {})
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_where_no_masks_are_given_the_lung_net_draws_them(evaluate, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    samples = Path(firstread.__file__).parent / "samples"
    words = ("--occlude", "silhouette", "--heat-energy")
    code, result, page = evaluate("--data", samples, *words)
    assert code == 0
    assert result["occlusion"][0]["n"] + result["occlusion"][0]["n_left_out"] == 8
    assert result["heat_energy"]["n"] >= 6
    said = "no lung masks were given: they are drawn by the lung net that comes with firstread"
    assert any(w.startswith(said) for w in result["warnings"])
    assert said in page
    assert tempfile.gettempdir() not in json.dumps(result)
    assert not list(tmp_path.glob("firstread-masks-*"))


def test_films_without_lungs_are_told_before_they_are_read(evaluate, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("firstread.evaluate.score.score_cohort", None)
    for path in make_films(tmp_path / "flat", 2).rglob("*.png"):
        Image.new("L", (300, 300), 128).save(path)
    code, result, _ = evaluate("--data", tmp_path / "flat", "--occlude", "silhouette")
    assert (code, result) == (2, {})
    err = capsys.readouterr().err
    assert "the lung net finds lungs on none of the films" in err
    assert "give masks with --masks" in err


@pytest.mark.parametrize("study", [("--occlude", "box"), ("--heat-energy",)])
def test_a_model_of_the_middle_is_refused_before_films_are_read(
    folder, masks, tmp_path, capsys, monkeypatch, study
):
    monkeypatch.setattr("firstread.evaluate.score.score_cohort", None)
    middle = tiny_bundle(tmp_path / "m", preprocess={"size": 32, "frame": "centre"})
    where = () if "box" in study else ("--masks", str(masks))
    assert main(["evaluate", str(middle), "--data", str(folder), *study, *where]) == 2
    assert 'frame is "centre"' in capsys.readouterr().err


def test_masks_of_no_pair_of_lungs_are_told(evaluate, folder, masks):
    where = ("--data", str(folder), "--masks", str(masks))
    told = "23 of 23 lung masks look like no pair of lungs"
    assert any(told in w for w in evaluate(*where, "--occlude", "silhouette")[1]["warnings"])


def test_a_study_that_fails_takes_nothing_with_it(evaluate, tmp_path, capsys):
    """That enough films are left is known only once they are read."""
    films = make_films(tmp_path / "here", 80)
    for path in sorted(films.rglob("*.png"))[:40]:
        path.write_bytes(b"no picture")
    code, result, page = evaluate("--data", films, "--recalibrate-on", films, "--occlude", "box")
    assert code == 1
    assert result["n"] == 160
    assert result["occlusion"][0]["how"] == "box"
    assert "recalibration" not in result
    said = "--recalibrate-on: this study failed: of 120 films too few"
    assert said in result["warnings"][-1]
    assert said in page
    assert f"warning: {said}" in capsys.readouterr().out


def test_an_interrupted_study_leaves_the_results(evaluate, folder, capsys, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("firstread.evaluate.occlusion.occlusion_study", stopped)
    code, result, page = evaluate("--data", folder, "--occlude", "box", "--corruptions")
    assert code == 130
    assert result["n"]
    assert "corruptions" not in result
    said = "--occlude box: this study was interrupted, and those after it were not made"
    assert result["warnings"][-1] == said
    assert said in page
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.usefixtures("at_once")
def test_results_do_not_stand_in_the_line_of_a_study_that_came_to_no_end(
    evaluate, folder, capsys, monkeypatch
):
    def stopped(*_, progress, **__):
        progress(1, 9)
        raise KeyboardInterrupt

    def table(result):
        said.append(capsys.readouterr().err)
        return ""

    said = []
    monkeypatch.setattr("firstread.evaluate.occlusion.occlusion_study", stopped)
    monkeypatch.setattr("firstread.cli.evaluate.table", table)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    evaluate("--data", folder, "--occlude", "box")
    assert said[0].endswith("\rbox painted over: 1 of 9 films\n")


def test_an_unexpected_error_in_a_study_comes_after_the_results(
    evaluate, folder, capsys, monkeypatch
):
    def broken(*_, **__):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("firstread.evaluate.corruptions.corruption_study", broken)
    code, result, _ = evaluate("--data", folder, "--corruptions", "--occlude", "box")
    assert code == 2
    assert result["occlusion"]
    assert result["warnings"][-1] == "--corruptions: this study failed: by nothing"
    assert "unexpected error (ZeroDivisionError: by nothing)" in capsys.readouterr().err
