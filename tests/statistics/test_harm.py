import json

import numpy as np
import pandas as pd
import pytest
from prediction_tables import predictions_table, transfer_losses

from mammo_jax.statistics.bootstrap import Estimate
from mammo_jax.statistics.evaluation import evaluate
from mammo_jax.statistics.harm import changed_cases, harms, per_thousand
from mammo_jax.statistics.operating_point import OperatingPoint
from mammo_jax.statistics.prediction_grid import StatisticsError

NOISE = np.random.default_rng(0).normal(size=2000)


def change(value, spread):
    return Estimate(value, value + spread * NOISE)


def harmful(**changes):
    """A table whose scores at CR 500 are those at CR 100 but shifted: same AUROC, another sensitivity."""
    table = predictions_table(transfer_losses({1.0: 0.0, 100.0: 0.1, 500.0: 0.1}), **changes)
    table.loc[table["test_ratio"] == 500, "score"] -= 0.6
    return table


@pytest.mark.parametrize(
    ("value", "spread", "vetoes"),
    [(-0.049, 0.02, True), (-0.024, 0.005, False), (-0.049, 0.03, False), (0.049, 0.01, False)],
)
def test_a_loss_above_half_the_margin_whose_interval_excludes_0_is_a_harm(value, spread, vetoes):
    found = harms([change(0.0, 0.01), change(value, spread)], 0.05, "here")
    assert [harm["measure"] for harm in found] == (["specificity"] if vetoes else [])
    for harm in found:
        assert harm["loss"] == pytest.approx(-value)
        assert (harm["low"], harm["high"]) == pytest.approx((0.049 - 1.96 * spread, 0.049 + 1.96 * spread), abs=0.004)


def test_auroc_passes_and_harm_vetoes():
    metrics = evaluate(harmful(), resamples=400)
    verdict = metrics["verdict"]
    assert [step["passed"] for step in verdict["steps"]] == [True, True]
    assert (verdict["ratio"], verdict["first_failed"], verdict["ratio_at_other_alpha"]) == (100.0, 500.0, 100.0)
    (harm,) = verdict["veto"]
    loss, low, high = (f"{100 * harm[name]:.1f}" for name in ("loss", "low", "high"))
    assert metrics["sentence"].startswith("Up to a compression ratio of 100, ")
    assert metrics["sentence"].endswith(
        "; CR 500 would pass by AUROC, but at the threshold of 90 % sensitivity, sensitivity falls by "
        f"{loss} points ({low} to {high})."
    )
    table = harmful()
    shifted = table["test_ratio"] > 1
    table.loc[shifted, "score"] -= 0.6 * (table["test_ratio"] == 100)
    alone = evaluate(table, resamples=400)
    assert alone["verdict"]["outcome"] == "no ratio passed"
    assert alone["sentence"].startswith("No ratio passed: CR 100 would pass by AUROC, but at the threshold of 90 %")


def test_scores_that_rise_lose_specificity():
    table = harmful()
    table.loc[table["test_ratio"] == 500, "score"] += 1.2
    (harm,) = evaluate(table, resamples=400)["verdict"]["veto"]
    assert harm["measure"] == "specificity"


def test_the_metrics_at_the_operating_point_are_complete_and_ready_for_json():
    table = harmful(seeds=2, seed_noise=0.2)
    metrics = evaluate(table, resamples=200, point=OperatingPoint(prevalence=0.006))
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    operating = metrics["models"][0]["operating_point"]
    assert operating["threshold_from"] == "every resample"
    assert np.shape(operating["thresholds"]) == (2, 5)
    first, *others = operating["results"]
    assert (first["test_ratio"], first["changes"], first["harms"], first["lost"]) == (1.0, None, [], [])
    assert 0.9 <= first["sensitivity"]["value"] < 0.95
    for result in others:
        for measure in ("sensitivity", "specificity"):
            rate, moved = result[measure], result["changes"][measure]
            assert moved["value"] == pytest.approx(rate["value"] - first[measure]["value"])
            assert rate["low"] <= rate["value"] <= rate["high"]
            assert moved["low"] <= moved["value"] <= moved["high"]
    missed = 6 * (1 - others[1]["sensitivity"]["value"])
    assert others[1]["missed_per_1000"] == pytest.approx(missed)
    recalls = 6 - missed + 994 * (1 - others[1]["specificity"]["value"])
    assert others[1]["recalls_per_1000"] == pytest.approx(recalls)
    without = evaluate(table, resamples=200)["models"][0]["operating_point"]["results"][1]
    assert without["recalls_per_1000"] is without["missed_per_1000"] is None


def test_recalls_and_missed_cancers_of_1000():
    assert per_thousand(0.9, 0.8, 0.01) == pytest.approx({"recalls_per_1000": 9 + 198, "missed_per_1000": 1.0})


def test_lost_and_gained_images_with_the_trainings_in_which_they_are():
    rows = []
    scores = {
        ("a", 0): (2, 0),
        ("b", 0): (0, 2),
        ("c", 0): (2, 2),
        ("a", 1): (2, 1),
        ("b", 1): (0, 0),
        ("c", 1): (2, 0),
    }
    for (image, seed), pair in scores.items():
        for ratio, score in zip((1.0, 15.0), pair):
            rows.append({"train_ratio": "1", "test_ratio": ratio, "fold": 3, "seed": seed, "image_id": image})
            rows[-1] |= {"patient_id": f"patient of {image}", "label": 1, "score": float(score)}
    negative = {**rows[0], "image_id": "n", "label": 0}
    table = pd.DataFrame([*rows, negative, {**negative, "test_ratio": 15.0, "score": 0.0}])
    found = changed_cases(table, {(0, 3): 1.5, (1, 3): 1.5})[15.0]
    assert [(case["image_id"], case["patient_id"], case["trainings"]) for case in found["lost"]] == [
        ("a", "patient of a", 2),
        ("c", "patient of c", 1),
    ]
    assert [(case["image_id"], case["trainings"]) for case in found["gained"]] == [("b", 1)]
    stricter = changed_cases(table, {(0, 3): 0.5, (1, 3): 0.5})[15.0]
    assert [(case["image_id"], case["trainings"]) for case in stricter["lost"]] == [("a", 1), ("c", 1)]


def test_a_frozen_model_takes_its_own_threshold():
    table = harmful(folds=1)
    at = evaluate(table, resamples=200, frozen=True, point=OperatingPoint(threshold=1.0))
    operating = at["models"][0]["operating_point"]
    assert (operating["threshold_from"], operating["thresholds"]) == ("given", [[1.0]])
    own = table[(table["test_ratio"] == 1) & (table["label"] == 1)]
    assert operating["results"][0]["sensitivity"]["value"] == pytest.approx((own["score"] >= 1.0).mean())
    assert "at the threshold 1, sensitivity falls" in at["sentence"]
    with pytest.raises(StatisticsError, match="threshold: only a frozen model has one"):
        evaluate(harmful(), resamples=200, point=OperatingPoint(threshold=1.0))


def test_validation_patients_give_the_threshold_and_must_be_others():
    table = harmful()
    first = table[table["test_ratio"] == 1]
    validation = first.assign(fold=(first["fold"] + 1) % 5)
    operating = evaluate(table, resamples=200, validation=validation)["models"][0]["operating_point"]
    assert operating["threshold_from"] == "validation patients"
    positives = np.sort(first[(first["fold"] == 4) & (first["label"] == 1)]["score"])[::-1]
    assert operating["thresholds"][0][0] == positives[int(np.ceil(0.9 * len(positives))) - 1]
    with pytest.raises(StatisticsError, match=r"model 'cnn': validation scores: patient .* is in the held-out fold 0"):
        evaluate(table, resamples=200, validation=first)


def test_without_predictions_at_cr_1_there_is_no_operating_point():
    table = predictions_table(transfer_losses({15.0: 0.0, 100.0: 0.1}))
    assert evaluate(table, resamples=200)["models"][0]["operating_point"] is None
