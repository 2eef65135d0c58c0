from dataclasses import replace
from pathlib import Path

from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import Cohort, load_cohort
from firstread.evaluate.doubts import doubts


def test_what_is_doubtful_about_a_set_is_said_once(tmp_path: Path) -> None:
    cohort = load_cohort(write_folder(tmp_path / "films", 12, size=32))
    share = float(cohort.labels.mean())
    assert doubts(cohort, share) == doubts(cohort, None) == doubts(cohort, 1.0) == []
    (far,) = doubts(cohort, 0.02)
    assert "true at 2%" in far
    assert "--recalibrate-on" in far
    nameless = tuple(replace(r, patient=f"film-{r.file}") for r in cohort.rows[:5])
    (unknown,) = doubts(Cohort(cohort.root, (*nameless, *cohort.rows[5:])), share)
    assert f"the patient of 5 of {len(cohort)} films is not known" in unknown


def test_patients_whom_the_model_is_not_for_are_counted(tmp_path: Path) -> None:
    cohort = load_cohort(write_folder(tmp_path / "films", 12, size=32))
    told = zip(cohort.rows, ("58", "045Y", "5", "006M", "NA"), strict=False)
    aged = tuple(replace(row, extra={"age": age}) for row, age in told)
    films = Cohort(cohort.root, (*aged, *cohort.rows[5:]))
    (said,) = doubts(films, None, (1.0, 5.0))
    assert said.startswith(f"3 of {len(films)} films are of patients outside of the ages")
    assert "1 to 5 years" in said
    assert doubts(films, None) == doubts(films, None, (0.0, 90.0)) == []
