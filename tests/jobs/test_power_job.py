import re

import numpy as np
import pytest
from prediction_tables import predictions_table, transfer_losses

from experiments.statistics_check.studies import Scenario, simulated_scores
from experiments.statistics_check.studies import predictions_table as simulated_table
from mammo_jax.jobs import evaluate, power
from mammo_jax.statistics.predictions import write_predictions


@pytest.fixture(autouse=True)
def few_studies(monkeypatch):
    monkeypatch.setattr("mammo_jax.statistics.power.POOL", 2000)
    for name in ("needed_positives", "detectable_loss", "power"):
        function = getattr(power, name)
        monkeypatch.setattr(power, name, lambda *args, _f=function, **named: _f(*args, **named, studies=400))


def numbers(printed: str, row: str) -> list[str]:
    (line,) = [line for line in printed.splitlines() if line.startswith(row)]
    return line[len(row) :].replace("%", "").split()[-2:]


def test_from_assumptions(capsys):
    power.main(["--auroc", "0.9", "--correlation", "0.95", "--positives", "120"])
    printed = capsys.readouterr().out
    assert "Assumed: AUROC 0.900 at CR 1; correlation 0.95" in printed
    fading, drowning = map(int, numbers(printed, "positive women needed for 80 % power"))
    assert 80 <= fading < drowning
    assert numbers(printed, "power with 120, if nothing is lost") == ["100", "100"]
    fades, drowns = map(int, numbers(printed, "power with 120, if 0.025 is lost"))
    assert fades > 80 > drowns
    assert 0 < float(numbers(printed, "smallest loss that 120 show")[0]) < 0.05


def test_from_a_pilot_and_what_is_given_counts_more(tmp_path, capsys):
    scenario = Scenario(160, 40)
    scores = simulated_scores(scenario, 0.0, 1, np.random.default_rng(1))[0]
    write_predictions(tmp_path / "pilot.parquet", simulated_table(scenario, scores))
    given = ["--predictions", str(tmp_path / "pilot.parquet"), "--analysis-level", "image"]
    power.main([*given, "--correlation", "0.5"])
    printed = capsys.readouterr().out
    assert "From pilot.parquet, where not given: AUROC 0.8" in printed
    assert "correlation 0.50" in printed
    assert "4 scored images a woman, 2 of them positive if she has a lesion; 25 % of the women have one" in printed
    assert re.search("power with 40, if nothing is lost", printed)
    power.main(given[:2])
    assert "one scored image a woman; 25 %" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="tested at CR 15"):
        power.main([*given, "--ratio", "15"])
    with pytest.raises(SystemExit, match=r"model: choose one of the models \['simulated'\]"):
        power.main([*given, "--model", "another"])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--loss", "0.05"], "loss: 0.05 is not from 0 to the margin"),
        (["--wanted", "1"], "wanted: 1 is not from 0.05 to 0.99"),
        (["--positives", "1"], "positives: 1 is not from 2"),
        (["--model", "cnn"], "give that table too"),
        (["--auroc", "1.2"], "auroc: 1.2 is not between"),
    ],
)
def test_what_cannot_be_is_refused(flags, said):
    with pytest.raises(SystemExit, match=re.escape(said)):
        power.main(flags)


def test_an_evaluation_that_cannot_tell_says_what_it_takes(tmp_path, capsys):
    table = predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.1}), patients=120, folds=1)
    write_predictions(tmp_path / "few.parquet", table)
    evaluate.main(
        ["--predictions", str(tmp_path / "few.parquet"), "--out", str(tmp_path / "out"), "--resamples", "100"]
    )
    first, _, third = capsys.readouterr().out.splitlines()[:3]
    assert "Cannot tell how much compression" in first
    assert third.startswith("To call a ratio safe that loses 0.025 of AUROC, with 80 % power")
    assert third in (tmp_path / "out" / "report.html").read_text().replace("&#39;", "'")
