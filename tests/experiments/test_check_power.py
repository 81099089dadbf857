import re
from pathlib import Path

import pytest

from experiments import check_power
from experiments.statistics_check.power_scenarios import POWER
from experiments.statistics_check.studies import Scenario

EVIDENCE = Path(__file__).parents[2] / "docs" / "EVIDENCE.md"
NUMBERS = r"\| (\d+) of (\d+) \| ([\d.]+) \| ([\d.]+) \| (\w+) \| ([\d.]+) \| ([\d.]+) \(.*\) \| ([+−][\d.]+) \|"
ROW = re.compile(f"^{NUMBERS}$", re.MULTILINE)


def test_the_table_is_made_and_a_second_run_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(check_power, "POWER", (Scenario(90, 60, auroc=0.75),))
    monkeypatch.setattr(check_power, "LARGEST_DIFFERENCE", 1.0)
    given = ["--out", str(tmp_path), "--studies", "250", "--resamples", "100"]
    check_power.main(given)
    first = capsys.readouterr().out
    (row,) = ROW.findall(first)
    assert row[:5] == ("60", "90", "0.75", "0.9", "fading")
    predicted, simulated, difference = (float(text.replace("−", "-")) for text in row[5:])
    assert predicted - simulated == pytest.approx(difference, abs=0.11)
    assert abs(difference) < 9  # 250 studies with 100 resamples
    assert (tmp_path / "power.md").read_text() in first
    monkeypatch.setattr(check_power, "results_as_completed", None)  # nothing is left to simulate
    monkeypatch.setattr(check_power, "LARGEST_DIFFERENCE", 0.0)
    with pytest.raises(SystemExit, match="more than 3 points off in:\nScenario"):
        check_power.main(given)


def test_the_documents_have_a_row_for_each_scenario_and_the_power_that_is_predicted_now():
    rows = ROW.findall(EVIDENCE.read_text())
    assert [(int(row[0]), int(row[1]), float(row[2]), float(row[3]), row[4]) for row in rows] == [
        (scenario.positives, scenario.women, scenario.auroc, scenario.correlation, scenario.harm) for scenario in POWER
    ]
    assert max(abs(float(row[7].replace("−", "-"))) for row in rows) <= 3
    for place in (0, 2):
        assert 100 * check_power.predicted(POWER[place]) == pytest.approx(float(rows[place][5]), abs=0.06)
