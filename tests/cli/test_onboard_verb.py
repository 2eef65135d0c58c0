"""`firstread onboard` as a clinic meets it: proposal, sign-off, reading, and later the drift."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

from bundles import tiny_bundle
from clinics import write_films
from firstread.cli.main import main
from firstread.read.bundle import Bundle

SIGN = ("--signed-by", "Dr A. Person", "--date", "2026-03-01")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_films(tmp_path_factory.mktemp("clinic") / "films", 40)


def told(out: Path, name: str = "onboard") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / f"{name}.json").read_text())
    return found


def onboard(*words: object) -> int:
    return main(["onboard", *map(str, words)])


def test_proposal_then_sign_off_then_reading(
    films: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = (films, "--bundle", bundle, "--out", out, "--sensitivity", 0.9, "--prevalence", 0.2)
    assert onboard(*words) == 0
    said = capsys.readouterr().out
    assert "a proposal: to sign it off" in said
    for line in ("sensitivity", "AUC as it is: 0.", "refer rate", "PPV", "NPV", "calibration: "):
        assert line in said
    assert sorted(p.name for p in out.iterdir()) == ["onboard.html", "onboard.json"]
    before = told(out)
    assert (before["status"], before["signed"]) == ("proposal", None)
    assert "--sensitivity 0.9 --prevalence 0.2" in before["command"]

    assert onboard(*words, *SIGN) == 0
    assert "read with it: firstread read FILMS --bundle" in capsys.readouterr().out
    after = told(out)
    assert after["signed"] == {"by": "Dr A. Person", "date": "2026-03-01"}
    assert after["status"] == "signed"
    local = Bundle.load(out / "bundle")
    assert after["local_bundle"]["sha256"] == local.sha256
    assert after["thresholds"] == before["thresholds"]
    assert "Signed off by Dr A. Person on 2026-03-01" in (out / "onboard.html").read_text()

    opinions = tmp_path / "opinions.json"
    assert main(["read", str(films), "--bundle", str(local.path), "--json", str(opinions)]) == 0
    read = json.loads(opinions.read_text())
    assert len(read) == 80
    assert {o["threshold"] for o in read} == {after["thresholds"]["decision"]["value"]}

    # Nothing takes the place of what somebody signed but another signature.
    assert onboard(*words) == 2
    assert "holds a sign-off" in capsys.readouterr().err
    assert onboard(write_films(tmp_path / "few", 8), *words[1:], *SIGN) == 2
    assert "too few films for another" in capsys.readouterr().err
    assert not list(out.glob("*.part"))
    assert onboard(films, "--bundle", local.path, "--out", out, *SIGN) == 2
    assert "is the bundle to begin with" in capsys.readouterr().err
    assert onboard(films, "--bundle", tmp_path / "nowhere", "--out", out, *SIGN) == 2
    assert "no such bundle" in capsys.readouterr().err
    assert (told(out), Bundle.load(local.path).sha256) == (after, local.sha256)
    assert onboard(*words, *SIGN) == 0


@pytest.mark.parametrize("name", ["bundle/notes.txt", "onboard.json/x", "onboard.html/x"])
def test_a_place_that_will_not_do_is_told_before_films_are_read(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    films = write_films(tmp_path / "films", 25)
    there = tmp_path / "o" / name
    there.parent.mkdir(parents=True)
    there.touch()
    assert onboard(films, "--bundle", bundle, "--out", tmp_path / "o", *SIGN) == 2
    said = capsys.readouterr().err
    assert "holds other files" in said or "is a folder" in said
    assert "read 1" not in said
    assert [p for p in (tmp_path / "o").rglob("*") if p.is_file()] == [there]


def test_a_film_counts_once_however_often_it_is_there(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = write_films(tmp_path / "films", 12)
    for path in sorted(films.rglob("*.png")):
        path.with_name(f"copy-{path.name}").write_bytes(path.read_bytes())
    assert onboard(films, "--bundle", bundle, "--out", tmp_path / "o", *SIGN) == 1
    assert "24 of 48 films are copies of others" in capsys.readouterr().out
    result = told(tmp_path / "o")
    assert (result["n"], result["n_patients"], result["signed"]) == (24, 24, None)
    words = ["evaluate", bundle, "--data", films, "--json", tmp_path / "m.json"]
    assert main([str(w) for w in words]) == 0
    warnings = told(tmp_path, "m")["warnings"]
    assert any("24 of 48 films are copies" in said for said in warnings)

    (films / "NORMAL" / "x.png").write_bytes((films / "PNEUMONIA" / "3.png").read_bytes())
    assert onboard(films, "--bundle", bundle, "--out", tmp_path / "o") == 2
    assert "one film has both labels: NORMAL/x.png and PNEUMONIA/3.png" in capsys.readouterr().err


def test_ages_of_a_table_refer_as_those_of_films_do(bundle: Path, tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 25)
    rows = [f"{p.relative_to(tmp_path)},{p.parent.name},{{}}\n" for p in films.rglob("*.png")]
    rates = {}
    for age in (3, 40):
        table = tmp_path / f"{age}.csv"
        table.write_text("file,label,age\n" + "".join(rows).format(*[age] * len(rows)))
        assert onboard(table, "--bundle", bundle, "--out", tmp_path / f"o{age}") == 0
        result = told(tmp_path / f"o{age}")
        rates[age] = result["local"]["refer_rate"]["value"]
        warned = [w for w in result["warnings"] if "outside of the ages" in w]
        assert len(warned) == (age == 40)
    assert rates[3] < 0.9
    assert rates[40] == 1.0


def test_evaluating_the_local_bundle_on_its_films_is_warned_of(
    films: Path, bundle: Path, tmp_path: Path
) -> None:
    onboard(films, "--bundle", bundle, "--out", tmp_path / "o", *SIGN)
    words = ["evaluate", tmp_path / "o" / "bundle", "--data", films, "--json", tmp_path / "m.json"]
    assert main([str(w) for w in words]) == 0
    warning = told(tmp_path, "m")["warnings"][0]
    assert "the local bundle was set on" in warning
    assert onboard(films, "--bundle", tmp_path / "o" / "bundle", "--out", tmp_path / "again") == 0
    assert warning in told(tmp_path / "again")["warnings"]


def test_too_few_films_cannot_be_signed_off(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = write_films(tmp_path / "films", 12)
    assert onboard(films, "--bundle", bundle, "--out", tmp_path / "o", *SIGN) == 1
    said = capsys.readouterr().out
    assert "too few films for a local bundle: nothing can be signed off" in said
    assert "not given: thresholds; needs at least 20 patients with pneumonia, here are 12" in said
    assert told(tmp_path / "o")["signed"] is None
    assert not (tmp_path / "o" / "bundle").exists()


def test_a_rejected_film_is_told_by_the_exit_code(bundle: Path, tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 25)
    (films / "NORMAL" / "3.png").write_bytes(b"no film")
    assert onboard(films, "--bundle", bundle, "--out", tmp_path / "o") == 1
    assert told(tmp_path / "o")["n_rejected"] == 1


def test_how_many_films_are_needed_is_told_without_any(capsys: pytest.CaptureFixture[str]) -> None:
    assert onboard("--sensitivity", 0.95, "--interval", 0.1) == 0
    said = capsys.readouterr().out
    assert "sensitivity         83 patients, pneumonia\n" in said
    assert "here" not in said


def test_patients_of_a_table_are_kept_together(films: Path, bundle: Path, tmp_path: Path) -> None:
    table = tmp_path / "films.csv"
    with table.open("w", newline="") as f:
        rows = csv.writer(f)
        rows.writerow(["file", "label", "patient"])
        for path in sorted(films.rglob("*.png")):
            rows.writerow([path, path.parent.name, f"{path.parent.name}-{int(path.stem) // 2}"])
    assert onboard(table, "--bundle", bundle, "--out", tmp_path / "o") == 0
    result = told(tmp_path / "o")
    assert (result["n"], result["n_patients"]) == (80, 40)
    assert result["patients"] == {"normal": 20, "pneumonia": 20}


def test_later_films_are_held_against_the_first(
    films: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, base = tmp_path / "out", tmp_path / "o" / "onboard.json"
    onboard(films, "--bundle", bundle, "--out", base.parent)
    same = write_films(tmp_path / "same", 40, seed=1)
    table = tmp_path / "unlabelled.csv"
    table.write_text("file\n" + "".join(f"{p}\n" for p in sorted(same.rglob("*.png"))))
    for later in (same, same / "NORMAL" / "..", table):
        assert onboard(later, "--bundle", bundle, "--drift", base) == 0
    capsys.readouterr()
    other = write_films(tmp_path / "other", 40, seed=2, brighter=60, side=64)
    words = (other, "--bundle", bundle, "--drift", base, "--out", out)
    assert onboard(*words) == 1
    said = capsys.readouterr().out
    assert "mean grey" in said
    assert "changed: much" in said
    result = told(out, "drift")
    assert {"logit", "grey", "area", "called"} <= set(result["moved"])
    assert "Changed:" in (out / "drift.html").read_text()
    assert sorted(p.name for p in out.iterdir()) == ["drift.html", "drift.json"]


def test_copies_among_later_films_cry_no_wolf(
    films: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One film exported sixteen times under other names is no change of all films."""
    base = tmp_path / "o" / "onboard.json"
    onboard(films, "--bundle", bundle, "--out", base.parent)
    later = write_films(tmp_path / "later", 20, seed=1)
    film = (later / "NORMAL" / "0.png").read_bytes()
    for i in range(40):
        (later / ("NORMAL" if i % 2 else "PNEUMONIA") / f"again-{i}.png").write_bytes(film)
    table = tmp_path / "labelled.csv"
    rows = (f"{p},{p.parent.name}\n" for p in sorted(later.rglob("*.png")))
    table.write_text("file,label\n" + "".join(rows))
    for given in (later, table):
        capsys.readouterr()
        assert onboard(given, "--bundle", bundle, "--drift", base, "--out", tmp_path / "d") == 0
        assert "warning: 40 of 80 films are copies" in capsys.readouterr().out
        found = told(tmp_path / "d", "drift")
        assert (found["n"], found["n_films"], len(found["warnings"])) == (40, 80, 1)


def test_a_comparison_replaces_no_baseline_and_tells_a_bad_place_first(
    films: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onboard(films, "--bundle", bundle, "--out", tmp_path / "o")
    base = tmp_path / "d" / "drift.json"
    base.parent.mkdir()
    base.write_bytes((tmp_path / "o" / "onboard.json").read_bytes())
    before = base.read_bytes()
    for out in (base.parent, films / "NORMAL" / "0.png"):
        capsys.readouterr()
        assert onboard(films, "--bundle", bundle, "--drift", base, "--out", out) == 2
        said = capsys.readouterr()
        assert "changed" not in said.out
        assert "firstread: " in said.err
    assert base.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["films"], "--out FOLDER"),
        (["films", "--out", "films/NORMAL/0.png"], "is a file"),
        (["films", "--out", "o", "--signed-by", "A"], "give both"),
        (["films", "--out", "o", "--signed-by", "A", "--date", "1.3.26"], "no such day"),
        (["films", "--out", "o", "--sensitivity", "1"], "sensitivity 1"),
        (["films", "--out", "o", "--interval", "2"], "interval 2"),
        (["films", "--out", "o", "--prevalence", "0"], "prevalence 0"),
        (["films/NORMAL", "--out", "o"], "class folder"),
        (["films", "--drift", "nothing.json"], "no baseline"),
        (["films", "--drift", "nothing.json", "--signed-by", "A"], "nothing to sign off"),
        (["--drift", "nothing.json"], "name a folder of films"),
        (["films", "--out", "o", "--bundle", "nowhere"], "no such bundle"),
    ],
)
def test_mistakes_are_told_in_a_line_and_nothing_is_written(
    films: Path,
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(films.parent)
    known = words if "--bundle" in words else [*words, "--bundle", str(bundle)]
    assert onboard(*known) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert [p.name for p in films.parent.iterdir()] == ["films"]
