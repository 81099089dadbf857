import json

import numpy as np
import pandas as pd
import pytest
from prediction_tables import predictions_table, transfer_losses
from sklearn.metrics import roc_auc_score

from mammo_jax.statistics.analysis_levels import AnalysisLevels, at_level, disagreement, level_lines, outcome_text
from mammo_jax.statistics.evaluation import evaluate
from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.predictions import check_predictions

FALL = {1.0: 0.0, 15.0: 0.05, 1000.0: 4.0}


def table_of(losses=FALL, images_per_patient=4, **settings) -> pd.DataFrame:
    """Return predictions with two images of each breast; both conventions for its name occur."""
    table = predictions_table(transfer_losses(losses), images_per_patient=images_per_patient, **settings)
    side = np.where(table["image_id"].str[-5:].astype(int) % images_per_patient < 2, "L", "R")
    named = table["patient_id"].str[-1].astype(int) % 2 == 0
    return table.assign(breast=np.where(named, table["patient_id"] + "/" + side, side))


def naive(table, level, pooling):
    """Return {(train, test, fold, seed): {(patient, breast or ""): (label, score)}}, one row after the other."""
    groups: dict = {}
    for row in table.itertuples():
        cell = groups.setdefault((row.train_ratio, row.test_ratio, row.fold, row.seed), {})
        cell.setdefault((row.patient_id, row.breast if level == "breast" else ""), []).append((row.label, row.score))
    pool = {"max": max, "mean": np.mean}[pooling]
    return {
        key: {
            name: (max(label for label, _ in rows), pool([score for _, score in rows])) for name, rows in cell.items()
        }
        for key, cell in groups.items()
    }


@pytest.mark.parametrize("level", ["breast", "woman"])
@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_scores_and_labels_are_those_of_a_loop(level, pooling):
    table = table_of(patients=24, folds=2, seeds=2, seed_noise=0.2)
    expected = naive(table, level, pooling)
    pooled = check_predictions(at_level(table, level, pooling), "pooled")
    assert len(pooled) == sum(map(len, expected.values())) == 3 * 2 * 24 * (2 if level == "breast" else 1)
    for key, part in pooled.groupby(["train_ratio", "test_ratio", "fold", "seed"]):
        assert sorted(zip(part["label"], part["score"].round(12))) == sorted(
            (label, round(score, 12)) for label, score in expected[key].values()
        )
    assert at_level(table, "image", pooling) is table


def test_every_level_has_the_auroc_of_scikit_learn():
    table = table_of(seeds=2, seed_noise=0.2)
    for primary in (AnalysisLevels("woman"), AnalysisLevels("breast", "mean"), AnalysisLevels()):
        metrics = evaluate(table, resamples=100, levels=primary)
        rows = metrics["models"][0]["levels"]
        assert [(row["level"], row["pooling"]) for row in rows] == [
            ("image", None), ("breast", "max"), ("breast", "mean"), ("woman", "max"), ("woman", "mean"),
        ]  # fmt: skip
        for row in rows:
            pooled = table if row["level"] == "image" else at_level(table, row["level"], row["pooling"])
            cell = pooled[pooled["test_ratio"] == 1]
            areas = [roc_auc_score(part["label"], part["score"]) for _, part in cell.groupby(["seed", "fold"])]
            assert row["auroc"]["mean"] == pytest.approx(np.mean(areas), abs=1e-12)
            assert (row["units"], row["positive_units"]) == (len(cell) / 2, cell["label"].sum() / 2)
        (chosen,) = [row for row in rows if row["primary"]]
        assert (chosen["level"], chosen["verdict"]) == (primary.primary, metrics["verdict"])
        counts = metrics["models"][0]["counts"]
        assert (counts["images"], counts["patients"]) == (1440, 360), "of the images, at any level"
        assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


def test_a_level_is_judged_as_if_the_pooled_table_were_given():
    table = table_of()
    pooled = at_level(table, "woman", "max")
    given, found = evaluate(pooled, resamples=200), evaluate(table, resamples=200, levels=AnalysisLevels("woman"))
    for key in ("results", "verdicts", "redrawn_resamples"):
        assert found["models"][0][key] == given["models"][0][key]
    assert "its AUROC per woman within" in found["sentence"]
    assert "its AUROC per image within" in given["sentence"]


def test_where_the_levels_disagree_the_sentence_says_it():
    table = table_of(patients=400, folds=1)
    label = table.groupby("patient_id")["label"].transform("max")
    drowned = (table["test_ratio"] == 1000) & (label == 0) & (table["image_id"].str[-5:].astype(int) % 32 == 0)
    table["score"] = table.groupby("image_id")["score"].transform("first")  # no loss but for the few images below
    table.loc[drowned, "score"] = table["score"].max()  # one negative image in a woman spoils her maximum
    metrics = evaluate(table, resamples=200, levels=AnalysisLevels("woman"), frozen=True)
    rows = metrics["models"][0]["levels"]
    texts = {(row["level"], row["pooling"]): outcome_text(row["verdict"]) for row in rows}
    assert (texts["image", None], texts["woman", "max"]) == ("up to CR 1000", "up to CR 15")
    expected = (
        f"The analysis levels disagree: {texts['image', None]} per image, {texts['breast', 'max']} per breast, "
        "up to CR 15 per woman (the primary level)."
    )
    assert metrics["sentence"].endswith(f" {expected}")


def row(noun, outcome, ratio=None, *, pooling="max", primary=False):
    pooling = None if noun == "patch" else pooling
    verdict = {"outcome": outcome, "ratio": ratio} if outcome else None
    found = {"noun": noun, "pooling": pooling, "primary": primary, "verdict": verdict, "auroc": {"mean": 0.9}}
    return found | {"not_available": None if verdict else "no column"}


def test_levels_agree_where_those_that_are_there_have_one_verdict():
    rows = [
        row("patch", "ratio", 100.0, primary=True),
        row("breast", None),
        row("woman", "ratio", 100.0),
        row("woman", "ratio", 15.0, pooling="mean"),
    ]
    assert disagreement(rows, "max") is None
    assert disagreement([*rows[:2], row("woman", "cannot tell")], "max") == (
        "The analysis levels disagree: up to CR 100 per patch (the primary level), cannot tell per woman."
    )
    assert "15 per woman" in disagreement(rows, "mean")
    assert [" ".join(line.split()) for line in level_lines(rows)] == [
        "* per patch AUROC 0.900 at CR 1, up to CR 100",
        "per breast (maximum) not available: no column",
        "per woman (maximum) AUROC 0.900 at CR 1, up to CR 100",
        "per woman (mean) AUROC 0.900 at CR 1, up to CR 15",
    ]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda table: table.drop(columns="breast"), "the predictions have no column 'breast'"),
        (
            lambda table: table.assign(breast=table["breast"].where(table["image_id"] != "image 00003", "")),
            "column 'breast' is empty for 1 images, the first is 'image 00003'",
        ),
    ],
)
def test_without_breasts_that_level_is_not_available(spoil, reason):
    table = spoil(table_of({1.0: 0.0, 15.0: 0.1}, folds=1))
    rows = evaluate(table, resamples=100)["models"][0]["levels"]
    assert [row["not_available"] for row in rows] == [None, reason, reason, None, None]
    with pytest.raises(StatisticsError, match=rf"analysis level breast: {reason}; choose another --analysis-level"):
        evaluate(table, resamples=100, levels=AnalysisLevels("breast"))


def test_a_level_with_one_class_is_not_available():
    table = table_of({1.0: 0.0, 15.0: 0.1}, folds=1, patients=100)
    positive = table[table.groupby("patient_id")["label"].transform("max") == 1]  # each woman has a lesion
    rows = evaluate(positive, resamples=100)["models"][0]["levels"]
    assert rows[0]["not_available"] is None
    assert all("images are positive" in row["not_available"] for row in rows if row["level"] == "woman")


def test_a_missing_image_is_not_lost_in_the_maximum():
    table = table_of({1.0: 0.0, 15.0: 0.1}, folds=1)
    lowest = table[table["test_ratio"] == 15].sort_values("score").index[0]
    with pytest.raises(StatisticsError, match="1 images missing"):
        evaluate(table.drop(index=lowest), resamples=100, levels=AnalysisLevels("woman"))


def test_only_trained_on_others_there_are_no_levels():
    table = predictions_table({("mixed", 1.0): 0.0, ("mixed", 15.0): 0.1})
    metrics = evaluate(table, resamples=100)
    assert metrics["models"][0]["levels"] == []
    assert metrics["verdict"]["outcome"] == "not given"
