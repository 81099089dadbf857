import json

import numpy as np
import pandas as pd
import pytest
from prediction_tables import predictions_table, transfer_losses

from mammo_jax.statistics.evaluation import SCHEMA, evaluate
from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.predictions import PredictionsError
from mammo_jax.statistics.rule import Rule

FALL = {1.0: 0.0, 15.0: 0.05, 100.0: 0.1, 1000.0: 2.0, 10000.0: 8.0}
STUDY = transfer_losses(FALL) | {(f"{ratio:g}", ratio): loss for ratio, loss in FALL.items()}


def test_a_study_of_five_seeds_gets_both_verdicts_and_the_null():
    metrics = evaluate(predictions_table(STUDY, seeds=5, seed_noise=0.1), resamples=400, target="malignant")
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert (metrics["schema"], metrics["target"], metrics["demonstration"]) == (SCHEMA, "malignant", False)
    (model,) = metrics["models"]
    assert metrics["verdict"] == model["verdicts"]["transfer"]
    assert [model["verdicts"][kind]["ratio"] for kind in ("transfer", "matched")] == [100.0, 100.0]
    assert [(r["train_ratio"], r["test_ratio"]) for r in model["results"]] == [
        *(("1", ratio) for ratio in FALL),
        *((f"{ratio:g}", ratio) for ratio in list(FALL)[1:]),
    ]
    null = model["seed_null"]
    differences = np.abs(np.subtract.outer(null["auroc_by_seed"], null["auroc_by_seed"]))
    assert null["largest_difference"] == pytest.approx(differences.max())
    assert null["mean_difference"] == pytest.approx(differences.sum() / 20)
    assert null["standard_deviation"] == pytest.approx(np.std(null["auroc_by_seed"], ddof=1))
    for result in model["results"]:
        for figure, centre in ((result["auroc"], "mean"), (result["auprc"], "corrected")):
            assert figure["low"] <= figure[centre] <= figure["high"]
            assert np.shape(figure["by_seed_and_fold"]) == (5, 5)
            assert figure["mean"] == pytest.approx(np.mean(figure["by_seed_and_fold"]))


def test_one_seed_is_a_demonstration_without_matched_verdict():
    metrics = evaluate(predictions_table(STUDY), resamples=200)
    assert metrics["demonstration"]
    assert metrics["verdict"]["ratio"] == 100.0
    assert metrics["models"][0]["verdicts"]["matched"]["outcome"] == "cannot tell"
    assert metrics["models"][0]["matched_readers"] == []
    assert metrics["models"][0]["seed_null"] is None


def test_seeds_that_are_copies_of_one_training_are_refused():
    table = predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.1}), seeds=2, seed_noise=0.1, patients=60)
    copy = table[table["seed"] == 0].assign(seed=7)
    with pytest.raises(StatisticsError, match=r"model 'cnn': column seed: seeds 0 and 7 have the same score in every"):
        evaluate(pd.concat([table, copy]), resamples=200)


def test_a_frozen_foreign_model_has_a_transfer_verdict_only():
    table = predictions_table(transfer_losses(FALL), folds=1)
    metrics = evaluate(table, resamples=200, frozen=True)
    assert (metrics["demonstration"], metrics["frozen"]) == (False, True)
    assert metrics["verdict"]["ratio"] == 100.0
    assert metrics["models"][0]["verdicts"]["matched"]["outcome"] == "not given"
    assert all(result["transfer"] for result in metrics["models"][0]["results"])
    assert "Up to a compression ratio of 100, this model keeps" in metrics["sentence"]
    with pytest.raises(StatisticsError, match=r"one frozen model scored every image.*the table has 5"):
        evaluate(predictions_table(transfer_losses(FALL)), resamples=200, frozen=True)
    with pytest.raises(StatisticsError, match=r"train_ratio.*'15'; write 1 in every row of a frozen"):
        evaluate(table.replace({"train_ratio": {"1": "15"}}), resamples=200, frozen=True)
    with pytest.raises(StatisticsError, match="frozen"):
        evaluate(predictions_table(transfer_losses(FALL), seeds=2), resamples=200, frozen=True)


def test_a_model_at_chance_cannot_tell():
    metrics = evaluate(predictions_table(transfer_losses({1.0: 0, 15.0: 0}), separation=0.0), resamples=200)
    assert metrics["verdict"]["outcome"] == "cannot tell"
    assert metrics["sentence"].startswith("Cannot tell")


def test_counts_are_those_of_the_table():
    table = predictions_table(STUDY, seeds=2)
    counts = evaluate(table, resamples=100)["models"][0]["counts"]
    images = table.drop_duplicates("image_id")
    assert counts["images"] == len(images) == 720
    assert counts["positive_images"] == images["label"].sum()
    assert counts["prevalence"] == pytest.approx(images["label"].mean())
    assert (counts["patients"], counts["positive_patients"]) == (360, 90)
    for fold in counts["folds"]:
        members = images[images["fold"] == fold["fold"]]
        assert fold["images"] == len(members)
        assert fold["positive_images"] == members["label"].sum()
        assert fold["patients"] == members["patient_id"].nunique()
        assert fold["positive_patients"] == members[members["label"] == 1]["patient_id"].nunique()


def test_the_primary_model_must_be_named():
    good = predictions_table(transfer_losses(FALL), model="cnn")
    chance = predictions_table(transfer_losses(FALL), model="resnet18", separation=0.0)
    both = pd.concat([good, chance])
    with pytest.raises(StatisticsError, match="choose which"):
        evaluate(both, resamples=200)
    with pytest.raises(StatisticsError, match="'vit' is not in the table"):
        evaluate(both, resamples=200, primary_model="vit")
    assert evaluate(both, resamples=200, primary_model="cnn")["verdict"]["outcome"] == "ratio"
    assert evaluate(both, resamples=200, primary_model="resnet18")["verdict"]["outcome"] == "cannot tell"


def test_other_models_in_the_table_do_not_change_a_models_metrics():
    good = predictions_table(transfer_losses(FALL), model="cnn")
    other = predictions_table(transfer_losses(FALL), model="a", separation=1.0, patients=60)
    other["image_id"] += " of another study"
    other["patient_id"] += " of another study"
    alone = evaluate(good, resamples=200)["models"][0]
    beside = evaluate(pd.concat([other, good]), resamples=200, primary_model="cnn")["models"][1]
    assert alone == beside


def test_bad_requests_name_what_is_wrong():
    table = predictions_table(transfer_losses(FALL), model="cnn")
    with pytest.raises(StatisticsError, match="resamples"):
        evaluate(table, resamples=10)
    with pytest.raises(StatisticsError, match=r"model 'cnn': .*missing"):
        evaluate(table.iloc[1:], resamples=200)
    for margin in (0.0, -0.1, 0.5, float("nan")):
        with pytest.raises(StatisticsError, match="margin"):
            evaluate(table, resamples=200, rule=Rule(margin=margin))
    with pytest.raises(PredictionsError, match="column 'fold'"):
        evaluate(table.assign(fold=table["image_id"].str[-1].astype(int) % 2), resamples=200)


def test_training_ratios_may_be_spelt_with_decimals():
    table = predictions_table(STUDY)
    spelt = table.assign(train_ratio=table["train_ratio"] + ".0")
    assert evaluate(spelt, resamples=200) == evaluate(table, resamples=200)
