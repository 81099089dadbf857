import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from mammo_jax.statistics.auroc import auroc_and_auprc


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(2, 80),
    levels=st.sampled_from([1, 2, 5, 1000]),
    whole=st.booleans(),
)
def test_agrees_with_scikit_learn_with_ties_and_weights(seed, images, levels, whole):
    rng = np.random.default_rng(seed)
    labels = rng.random(images) < 0.4
    labels[:2] = True, False
    scores = rng.integers(0, levels, images) / 7
    weights = rng.integers(0, 4, (images, 5)).astype(float) if whole else rng.random((images, 5))
    weights[:2] = 1
    auroc, auprc = auroc_and_auprc(labels, scores, weights)
    for column in range(5):
        weight = weights[:, column]
        assert auroc[column] == pytest.approx(roc_auc_score(labels, scores, sample_weight=weight), abs=1e-12)
        expected = average_precision_score(labels, scores, sample_weight=weight)
        assert auprc[column] == pytest.approx(expected, abs=1e-12)


def test_integer_counts_equal_repeated_images():
    rng = np.random.default_rng(3)
    labels, scores = rng.random(60) < 0.3, rng.integers(0, 9, 60)
    counts = rng.multinomial(60, np.full(60, 1 / 60), size=1).T
    index = np.repeat(np.arange(60), counts[:, 0])
    auroc, auprc = auroc_and_auprc(labels, scores, counts)
    assert auroc[0] == pytest.approx(roc_auc_score(labels[index], scores[index]), abs=1e-12)
    assert auprc[0] == pytest.approx(average_precision_score(labels[index], scores[index]), abs=1e-12)


def test_a_weighting_without_one_class_has_no_area():
    labels, scores = np.array([True, True, False]), np.array([0.3, 0.2, 0.1])
    weights = np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    auroc, auprc = auroc_and_auprc(labels, scores, weights)
    np.testing.assert_array_equal(auroc, [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(auprc, [1.0, np.nan, np.nan])
    for constant in (True, False):
        assert np.isnan(auroc_and_auprc(np.full(3, constant), scores, weights)).all()


def test_unsigned_scores_are_not_wrapped():
    auroc, _ = auroc_and_auprc(np.array([True, False]), np.array([9, 0], np.uint8), np.ones((2, 1)))
    assert auroc[0] == 1


@pytest.mark.parametrize(
    ("labels", "scores", "weights"),
    [
        (np.array([True, False]), np.array([1.0, np.nan]), np.ones((2, 1))),
        (np.array([True, False]), np.array([1.0]), np.ones((2, 1))),
        (np.array([True, False]), np.array([1.0, 0.0]), np.ones(2)),
        (np.array([True, False]), np.array([1.0, 0.0]), np.ones((3, 1))),
    ],
)
def test_bad_shapes_and_scores_are_refused(labels, scores, weights):
    with pytest.raises(ValueError, match=r"shapes do not match|finite"):
        auroc_and_auprc(labels, scores, weights)
