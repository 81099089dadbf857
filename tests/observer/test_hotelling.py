"""The Hotelling template beside scikit-learn's discriminant analysis, and beside what theory says of a known signal."""

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from mammo_jax.observer.channels import channel_outputs, gabor_channels
from mammo_jax.observer.hotelling import ledoit_wolf_share, train_template


def two_classes(count: int, features: int, seed: int = 0):
    """Correlated features of very different sizes, with a difference between unequal classes."""
    random = np.random.default_rng(seed)
    targets = (random.random(count) < 0.2).astype(int)
    values = random.normal(size=(count, features)) @ random.normal(size=(features, features))
    values[:, 0] += 1.5 * targets
    return values * 10.0 ** random.uniform(-3, 3, features), targets


def standardised(values, targets):
    within = values - np.stack([values[targets == target].mean(axis=0) for target in (0, 1)])[targets]
    return within / within.std(axis=0), values / within.std(axis=0)


@pytest.mark.parametrize(("count", "features"), [(2000, 10), (60, 50)])
def test_the_template_is_that_of_linear_discriminant_analysis(count, features):
    values, targets = two_classes(count, features)
    template = train_template(values, targets)
    _, scaled = standardised(values, targets)
    judge = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=template.shrinkage).fit(scaled, targets)
    theirs, ours = judge.decision_function(scaled), template.scores(values)
    np.testing.assert_allclose(ours - ours.mean(), theirs - theirs.mean(), rtol=1e-6, atol=1e-6 * np.std(theirs))


@pytest.mark.parametrize(("count", "features"), [(2000, 10), (60, 50), (30, 80)])
def test_the_shrinkage_is_that_of_scikit_learn(count, features):
    within, _ = standardised(*two_classes(count, features))
    share = ledoit_wolf_share(within)
    assert share == pytest.approx(ledoit_wolf_shrinkage(within, assume_centered=True), rel=1e-9)
    assert 0 < share < 1


def test_a_single_feature_only_gets_a_sign():
    values, targets = two_classes(100, 1)
    for sign in (1, -1):
        template = train_template(sign * values, targets)
        assert template.shrinkage == 0
        assert roc_auc_score(targets, template.scores(sign * values)) > 0.5


def test_a_constant_feature_gets_no_weight():
    values, targets = two_classes(100, 3)
    for constant in (0.0, 0.1, 65535.3):
        weights = train_template(np.column_stack([values, np.full(100, constant)]), targets).weights
        assert weights[3] == 0
        np.testing.assert_allclose(weights[:3], train_template(values, targets).weights)


@pytest.mark.parametrize("strength", [0.5, 1.5])
def test_a_known_signal_in_white_noise_is_found_as_often_as_theory_says(strength):
    """The AUROC is Φ(d′ / √2), where d′² = sᵀU (UᵀU)⁻¹ Uᵀs / σ² for the channels U (Barrett & Myers 2004, ch. 13)."""
    size, count, deviation = 16, 12000, 3.0
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    signal = np.exp(-(rows**2 + columns**2) / (2 * 2.5**2)).ravel()
    signal *= strength * deviation / np.linalg.norm(signal)
    targets = np.arange(count) % 2
    images = random.normal(0, deviation, (count, size * size)) + targets[:, None] * signal
    outputs = channel_outputs(images.reshape(count, size, size, 1))
    training = np.arange(count) < count // 2
    scores = train_template(outputs[training], targets[training]).scores(outputs[~training])
    channels = gabor_channels(size)
    seen = channels.T @ signal
    detectability = np.sqrt(seen @ np.linalg.lstsq(channels.T @ channels, seen, rcond=1e-10)[0]) / deviation
    assert 0.6 * strength < detectability < 0.8 * strength  # they have no even brightness
    error = 0.5 / np.sqrt(count / 4)  # no standard error of an AUROC from so many pairs is larger
    assert roc_auc_score(targets[~training], scores) == pytest.approx(ndtr(detectability / np.sqrt(2)), abs=2.5 * error)
