"""The verb `evaluate`, with a bundle whose logit is the film's brightness."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx")

from bundles import tiny_bundle
from firstread.cli.main import main
from firstread.cohort.split import SplitPlan, make_split, save_split
from firstread.cohort.table import load_cohort


def write(path, brightness, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    ramp = np.linspace(-60, 60, 48)[None, :] + rng.normal(0, 12, (40, 48))
    Image.fromarray(np.clip(255 * brightness + ramp, 0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    """Twelve dark normal films and twelve bright ones with pneumonia; two are the other way."""
    root = tmp_path / "films"
    for i in range(12):
        write(root / f"NORMAL/IM-{i + 1:04d}-0001.png", 0.3 if i else 0.65, i)
        name = (
            f"person{i // 2 + 1}_virus_{i}.png" if i % 4 else f"person{i // 2 + 1}_bacteria_{i}.png"
        )
        write(root / "PNEUMONIA" / name, 0.7 if i else 0.35, 100 + i)
    return root


@pytest.fixture
def run_dir(tmp_path):
    tiny_bundle(tmp_path / "run" / "bundle")
    (tmp_path / "run" / "recipe.json").write_text("{}")
    return tmp_path / "run"


def evaluate(*words):
    return main(["evaluate", *map(str, words)])


def test_run_json_html_and_table(run_dir, folder, tmp_path, capsys):
    numbers, page = tmp_path / "out" / "metrics.json", tmp_path / "out" / "report.html"
    code = evaluate(
        run_dir, "--data", folder, "--json", numbers, "--html", page, "--prevalence", "0.1"
    )
    assert code == 0
    out = capsys.readouterr().out
    assert "24 films" in out
    assert "where 10.0% have pneumonia" in out
    assert "Not a medical device" in out
    r = json.loads(numbers.read_text())
    assert r["accuracy"]["value"] == pytest.approx(22 / 24)
    assert r["confusion"]["matrix"] == [[11, 1], [1, 11]]
    assert (r["n"], r["n_rejected"], r["threshold"]) == (24, 0, 0.5)
    assert {w["file"] for w in r["worst"]} == {
        "NORMAL/IM-0001-0001.png",
        "PNEUMONIA/person1_bacteria_0.png",
    }
    assert r["bundle"]["name"] == "tiny"
    assert len(r["bundle"]["sha256"]) == 64
    assert r["data"]["sha256"] == load_cohort(folder).data_hash()
    assert "--prevalence 0.1" in r["command"]
    assert {g["value"] for g in r["groups"]["etiology"]} == {"bacterial", "viral", "normal"}
    assert r["warnings"] == []
    assert str(tmp_path) not in numbers.read_text()  # no name of a place on this machine
    text = page.read_text(encoding="utf-8")
    assert "person1_bacteria_0.png" in text
    assert "data:image" in text


def test_a_bundle_and_a_csv_and_a_column(run_dir, folder, tmp_path, capsys):
    table = tmp_path / "films.csv"
    with table.open("w", newline="") as f:
        rows = csv.writer(f)
        rows.writerow(["file", "label", "patient_id", "view"])
        for i, r in enumerate(load_cohort(folder).rows):
            rows.writerow([f"films/{r.file}", r.label, f"q{i // 2}", "AP" if i % 3 else "PA"])
    out = tmp_path / "m.json"
    assert evaluate(run_dir / "bundle", "--data", table, "--json", out, "--by", "view") == 0
    r = json.loads(out.read_text())
    assert r["n_patients"] == 12
    assert [g["value"] for g in r["groups"]["view"]] == ["AP", "PA"]
    assert evaluate(run_dir, "--data", table, "--by", "vlew") == 2
    assert "view" in capsys.readouterr().err


def test_a_rejected_film_counts_and_the_exit_code_says_so(run_dir, folder, tmp_path, capsys):
    (folder / "NORMAL/IM-0005-0001.png").write_text("no film")
    out = tmp_path / "m.json"
    assert evaluate(run_dir, "--data", folder, "--json", out) == 1
    r = json.loads(out.read_text())
    assert (r["n"], r["n_rejected"]) == (24, 1)
    assert r["accuracy"]["value"] == pytest.approx(21 / 24)
    assert r["rejected"][0]["file"] == "NORMAL/IM-0005-0001.png"
    assert str(tmp_path) not in out.read_text()
    assert "rejected: NORMAL/IM-0005-0001.png" in capsys.readouterr().out


def test_only_rejected_films_are_nothing_done(run_dir, folder, tmp_path, capsys):
    for path in folder.rglob("*.png"):
        path.write_text("no film")
    assert evaluate(run_dir, "--data", folder, "--json", tmp_path / "m.json") == 2
    assert "all 24 films were rejected" in capsys.readouterr().err
    assert not (tmp_path / "m.json").exists()


def test_a_split_scores_its_validation_part_and_warns_of_what_was_seen(
    run_dir, folder, tmp_path, capsys
):
    split = make_split(load_cohort(folder), SplitPlan(fraction=0.3))
    save_split(split, run_dir / "split.csv")
    val = split.part("val")
    with (run_dir / "val.csv").open("w", newline="") as f:
        rows = csv.writer(f)
        rows.writerow(["file", "label", "patient", "logit"])
        rows.writerows((r.file, r.label, r.patient, 0.0) for r in val.rows)
    out = tmp_path / "m.json"
    assert evaluate(run_dir, "--data", folder, "--split", run_dir / "split.csv", "--json", out) == 0
    r = json.loads(out.read_text())
    assert r["n"] == len(val)
    assert r["data"]["part"] == "val"
    assert len(r["warnings"]) == 1
    assert "validation films of the run" in r["warnings"][0]
    assert "warning: " in capsys.readouterr().out

    words = ["--split", run_dir / "split.csv", "--part", "train", "--json", out]
    assert evaluate(run_dir / "bundle", "--data", folder, *words) == 0
    warnings = json.loads(out.read_text())["warnings"]
    assert f"{len(split) - len(val)} of {len(split) - len(val)} films are among" in warnings[0]
    assert evaluate(run_dir, "--data", folder, "--part", "test") == 2


def test_a_card_with_the_same_data_hash_is_warned_of(folder, tmp_path):
    data = {"source": "", "films": 24, "patients": 1, "sha256": load_cohort(folder).data_hash()}
    bundle = tiny_bundle(tmp_path / "bundle", data=data)
    out = tmp_path / "m.json"
    assert evaluate(bundle, "--data", folder, "--json", out) == 0
    assert "very films" in json.loads(out.read_text())["warnings"][0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["RUN", "--data", "nowhere"], "no such folder"),
        (["nowhere", "--data", "FILMS"], "neither a run nor a bundle"),
        (["RUN", "--data", "FILMS", "--prevalence", "30"], "between 0 and 1"),
        (["RUN", "--data", "FILMS", "--json", "FILMS"], "is a folder"),
        (["RUN", "--data", "FILMS", "--split", "nowhere.csv"], "no such split"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run_dir, folder, tmp_path, capsys, words, said):
    places = {"RUN": run_dir, "FILMS": folder}
    assert evaluate(*[places.get(w, w) for w in words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_an_unfinished_run_and_a_changed_bundle(run_dir, folder, tmp_path, capsys):
    card = run_dir / "bundle" / "card.json"
    card.write_text(card.read_text().replace('"value": 0.5', '"value": 0.6'))
    assert evaluate(run_dir, "--data", folder) == 2
    assert "changed" in capsys.readouterr().err
    card.unlink()
    assert evaluate(run_dir, "--data", folder) == 2
    assert "its bundle is gone; run the same `firstread train` again" in capsys.readouterr().err


@pytest.mark.usefixtures("at_once")
def test_films_are_read_twice_and_the_log_tells_how_far(
    run_dir, folder, tmp_path, capsys, monkeypatch
):
    opened, real = Counter(), Path.open

    def counted(path, *args, **kwargs):
        opened[path] += path.suffix == ".png"
        return real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", counted)
    numbers = tmp_path / "m.json"
    assert evaluate(run_dir, "--data", folder, "--json", numbers) == 0
    assert {n for path, n in opened.items() if path.suffix == ".png"} == {2}
    said = capsys.readouterr()
    ends = [line for line in said.err.splitlines() if "24 of 24" in line]
    assert ends == ["read: 24 of 24 films", "headers and hashes: 24 of 24 films"]
    assert " of 24 films\n" not in said.out
    assert json.loads(numbers.read_text())["data"]["sha256"] == load_cohort(folder).data_hash()


@pytest.mark.usefixtures("at_once")
def test_lines_of_json_on_stdout_are_all_that_is_there(run_dir, folder, capsys):
    words = ["read", folder, "--bundle", run_dir / "bundle", "--jsonl", "-"]
    assert main([str(word) for word in words]) == 0
    assert len([json.loads(line) for line in capsys.readouterr().out.splitlines()]) == 24
