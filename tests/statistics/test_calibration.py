import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from prediction_tables import predictions_table, transfer_losses
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from mammo_jax.statistics.calibration import calibration, measured, recalibration
from mammo_jax.statistics.prediction_grid import Fold, PredictionGrid, prediction_grid

CELL = ("1", 1.0)


def grid_of(scores: dict[float, np.ndarray], labels: np.ndarray, images_per_patient: int = 1) -> PredictionGrid:
    """One fold; scores [seeds, images] by ratio."""
    patients = np.arange(len(labels)) // images_per_patient
    positive = np.zeros(patients.max() + 1, bool)
    positive[patients[labels]] = True
    seeds = tuple(range(len(next(iter(scores.values())))))
    cells = {("1", ratio): (values,) for ratio, values in scores.items()}
    return PredictionGrid((Fold(0, labels, patients, positive),), seeds, cells)


def drawn(images: int, slope: float, intercept: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels with probability expit(intercept + slope × logit)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 1.5, images)
    return logits, rng.random(images) < expit(intercept + slope * logits)


@pytest.mark.parametrize("scale", [1.0, 30.0, 0.01])
def test_recalibration_is_scikit_learns_without_penalty(scale):
    logits, labels = drawn(400, 0.7, 0.4, 0)
    intercept, slope = recalibration(scale * logits, labels)
    model = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky").fit(logits[:, None], labels)
    assert slope * scale == pytest.approx(model.coef_[0, 0], abs=1e-7)
    assert intercept == pytest.approx(model.intercept_[0], abs=1e-7)


def test_no_slope_where_the_classes_do_not_overlap():
    labels = np.arange(10) >= 6
    for logits in (np.arange(10.0), -np.arange(10.0), np.zeros(10), np.minimum(np.arange(10.0), 6)):
        assert recalibration(logits, labels) is None
    figures = measured(grid_of({1.0: np.zeros((1, 10))}, labels).folds, [np.arange(-5.0, 5.0)[None]])
    assert figures["slope"] is None
    assert figures["brier"]["value"] == pytest.approx(brier_score_loss(labels, expit(np.arange(-5.0, 5.0))))


def test_measures_are_means_over_folds_and_seeds_of_scikit_learns():
    grid = prediction_grid(predictions_table({CELL: 0.0, ("1", 50.0): 1.0}, seeds=2, seed_noise=0.5, folds=3))
    found = calibration(grid, None)
    assert [row["test_ratio"] for row in found["results"]] == [1.0, 50.0]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    briers, slopes, intercepts = [], [], []
    for fold, scores in zip(grid.folds, grid.scores["1", 50.0]):
        for own in scores:
            briers.append(brier_score_loss(fold.labels, expit(own)))
            model = LogisticRegression(C=np.inf, tol=1e-12).fit(own[:, None], fold.labels)
            slopes.append(model.coef_[0, 0])
            intercepts.append(found_intercept(own, fold.labels))
    raw = found["results"][1]["raw"]
    assert raw["brier"]["value"] == pytest.approx(np.mean(briers), abs=1e-12)
    assert raw["slope"]["value"] == pytest.approx(np.mean(slopes), abs=1e-4)
    assert raw["intercept"]["value"] == pytest.approx(np.mean(intercepts), abs=1e-6)


def found_intercept(logits: np.ndarray, labels: np.ndarray) -> float:
    """The shift whose mean probability is the share of positives, by bisection."""
    low, high = -50.0, 50.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(logits + middle).mean() < labels.mean() else (low, middle)
    return low


def test_a_perfect_model_is_found_perfect_and_a_spoilt_one_is_mended():
    logits, labels = drawn(60_000, 1.0, 0.0, 1)
    halved = 2 * logits + 1  # too extreme and too high
    validation = pd.DataFrame({"fold": 0, "seed": 0, "label": labels[:20_000].astype(int), "score": halved[:20_000]})
    rest = slice(20_000, None)
    grid = grid_of({1.0: halved[None, rest], 100.0: halved[None, rest] - 0.5}, labels[rest])
    uncompressed, compressed = calibration(grid, validation)["results"]
    assert uncompressed["raw"]["slope"]["value"] == pytest.approx(0.5, abs=0.02)
    assert uncompressed["recalibrated"]["slope"]["value"] == pytest.approx(1, abs=0.04)
    assert uncompressed["recalibrated"]["intercept"]["value"] == pytest.approx(0, abs=0.06)
    # The shift by compression stays: half of it, since the recalibration halves all logits.
    assert compressed["recalibrated"]["intercept"]["value"] == pytest.approx(0.25, abs=0.06)
    for name in ("brier", "slope", "intercept"):
        perfect = measured(grid.folds, [logits[None, rest]])[name]
        assert uncompressed["recalibrated"][name]["value"] == pytest.approx(perfect["value"], abs=0.05)


def test_without_validation_no_patient_is_recalibrated_with_herself():
    """If the labels are noise, a recalibration fitted to the same images would always better their Brier score."""
    rng = np.random.default_rng(2)
    labels = np.arange(200) % 4 == 0
    gains = []
    for _ in range(20):
        grid = grid_of({1.0: rng.normal(-1.1, 0.01, (1, 200))}, labels, 2)
        (row,) = calibration(grid, None)["results"]
        gains.append(row["raw"]["brier"]["value"] - row["recalibrated"]["brier"]["value"])
    assert np.mean(gains) < 0


def test_probabilities_are_recognised():
    logits, labels = drawn(300, 1.0, 0.0, 3)
    as_logits = calibration(grid_of({1.0: logits[None]}, labels), None)
    as_probabilities = calibration(grid_of({1.0: expit(logits)[None]}, labels), None)
    assert (as_logits["scale"], as_probabilities["scale"]) == ("logit", "probability")
    for kind in ("raw", "recalibrated"):
        for name in ("brier", "slope", "intercept"):
            ours, theirs = (found["results"][0][kind][name] for found in (as_logits, as_probabilities))
            assert theirs == pytest.approx(ours, abs=1e-9)
    certain = np.where(labels, 1.0, 0.0)
    certain[:2] = 0.5
    assert calibration(grid_of({1.0: certain[None]}, labels), None)["results"][0]["raw"]["brier"]["value"] < 0.01


def test_nothing_without_cr_1():
    logits, labels = drawn(100, 1.0, 0.0, 3)
    assert calibration(grid_of({15.0: logits[None]}, labels), None) is None


def test_intervals_agree_with_a_clustered_bootstrap():
    """Patients with four images of equal noise: the spread of the measures over resampled patients."""
    rng = np.random.default_rng(4)
    shift = np.repeat(rng.normal(0, 1, 150), 4)
    logits = np.repeat(rng.normal(-0.5, 1.2, 150), 4) + rng.normal(0, 0.3, 600)
    labels = rng.random(600) < expit(logits + shift)
    grid = grid_of({1.0: logits[None]}, labels, 4)
    found = measured(grid.folds, [logits[None]])
    fold, spread = grid.folds[0], {name: [] for name in found}
    for _ in range(300):
        members = np.concatenate(
            [
                rng.choice(np.flatnonzero(fold.positive_patients == p), (fold.positive_patients == p).sum())
                for p in (0, 1)
            ]
        )
        images = (members[:, None] * 4 + np.arange(4)).ravel()
        again = grid_of({1.0: logits[None, images]}, labels[images], 4)
        for name, figure in measured(again.folds, [logits[None, images]]).items():
            spread[name].append(figure["value"])
    for name, values in spread.items():
        half = (found[name]["high"] - found[name]["low"]) / 2
        # 300 resamples know a standard deviation to 4 %.
        assert half / 1.96 == pytest.approx(np.std(values), rel=0.15), name


def test_evaluate_brings_it_at_the_primary_level():
    from mammo_jax.statistics.analysis_levels import AnalysisLevels, at_level
    from mammo_jax.statistics.evaluation import evaluate

    losses = transfer_losses({1.0: 0.0, 15.0: 0.5, 100.0: 3.0})
    table = predictions_table(losses, patients=120)
    (model,) = evaluate(table, resamples=100, levels=AnalysisLevels("woman"))["models"]
    assert model["calibration"] == calibration(prediction_grid(at_level(table, "woman", "max")), None)
    slopes = [row["raw"]["slope"]["value"] for row in model["calibration"]["results"]]
    assert all(later < earlier for earlier, later in pairwise(slopes))


@pytest.mark.filterwarnings("error")
def test_scores_of_a_large_scale_leave_out_what_has_no_finite_interval():
    rng = np.random.default_rng(0)
    labels = np.arange(200) < 60
    scores = 1000 * np.round(3 * (rng.normal(size=(1, 200)) + labels))
    labels = np.zeros(200, bool)
    labels[rng.permutation(np.flatnonzero(scores[0] >= 1000))[:-5]] = True
    labels[np.flatnonzero(scores[0] < 1000)[:5]] = True  # as many as have the highest scores
    found = calibration(grid_of({1.0: scores}, labels), None)
    json.dumps(found, allow_nan=False)
    raw = found["results"][0]["raw"]
    assert raw["intercept"] is None
    assert raw["brier"]["low"] < raw["brier"]["value"] < raw["brier"]["high"]
    assert raw["slope"]["value"] > 0
