"""Arguments that several verbs have."""

import pytest

from firstread.cli.main import main


@pytest.mark.parametrize(
    "verb",
    [
        ["train", "cnn", "--data", ".", "--out", "run"],
        ["tune", "cnn", "--data", ".", "--trials", "2", "--out", "run"],
        ["evaluate", "shipped", "--data", "."],
        ["data", "split", ".", "--out", "s.csv"],
    ],
    ids=["train", "tune", "evaluate", "split"],
)
@pytest.mark.parametrize("seed", ["-1", "99999999999999999999", "one"])
def test_a_seed_that_no_generator_takes(
    verb: list[str], seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*verb, f"--seed={seed}"]) == 2
    assert "no whole number from 0 to 4294967295" in capsys.readouterr().err
