import flax.linen as nn
import numpy as np
import pytest
from scipy import stats

from mammo_jax.saliency.drift import similarity
from mammo_jax.saliency.faithfulness import FRACTIONS, area_under_curve, insertion_and_deletion, order_by_saliency
from mammo_jax.saliency.localisation import smooth

EVERYWHERE = np.ones((24, 20), bool)


def noise(seed):
    return np.random.default_rng(seed).normal(size=(24, 20))


def test_a_map_is_similar_to_itself_at_any_scale_and_not_to_noise():
    assert similarity(noise(0), 3 * noise(0), EVERYWHERE) == {"spearman": pytest.approx(1), "ssim": pytest.approx(1)}
    other = similarity(noise(0), noise(1), EVERYWHERE)
    assert abs(other["spearman"]) < 0.3
    assert other["ssim"] < 0.3
    assert similarity(noise(0), -noise(0), EVERYWHERE)["spearman"] == pytest.approx(-1)


def test_ranks_count_inside_the_breast_only():
    breast = EVERYWHERE.copy()
    breast[:, 12:] = False
    first, second = noise(0), noise(0)
    second[:, 16:] = noise(5)[:, 16:]  # too far for the smoothing to reach the breast
    expected = stats.spearmanr(smooth(first)[breast], smooth(second)[breast]).statistic
    spearman = similarity(first, second, breast)["spearman"]
    assert spearman == pytest.approx(expected)
    assert spearman > 0.999 > similarity(first, second, EVERYWHERE)["spearman"]


def test_a_constant_map_has_no_ranking():
    constant = similarity(np.zeros((24, 20)), noise(0), EVERYWHERE)
    assert constant["spearman"] == 0
    assert np.isfinite(constant["ssim"])


class WeightedSum(nn.Module):
    """A logit that is a sum over pixels with known weights."""

    @nn.compact
    def __call__(self, images):
        weights = self.param("weights", nn.initializers.zeros, (1, 24, 20, 1))
        return (images * weights).sum((1, 2, 3))


def test_curves_of_a_linear_network_are_the_cumulative_sums():
    weights = np.abs(noise(1))[None, ..., None].astype(np.float32) / 50
    variables = {"params": {"weights": weights}}
    image, blurred = (values[..., None].astype(np.float32) for values in (noise(2), noise(3)))
    breast = EVERYWHERE.copy()
    breast[:, 15:] = False
    contribution = (weights[0] * (image - blurred))[..., 0].astype(float)
    order = np.flatnonzero(breast)[np.argsort(-contribution[breast])]
    insertion, deletion = insertion_and_deletion(WeightedSum(), variables, image, blurred, order)

    sums = np.concatenate([[0], np.cumsum(contribution.ravel()[order])])[np.rint(FRACTIONS * len(order)).astype(int)]
    whole = float((weights[0] * image).sum())
    inside = contribution[breast].sum()
    sigmoid = lambda logit: 1 / (1 + np.exp(-logit))  # noqa: E731
    np.testing.assert_allclose(insertion, sigmoid(whole - inside + sums), atol=1e-5)
    np.testing.assert_allclose(deletion, sigmoid(whole - sums), atol=1e-5)
    shuffled = np.random.default_rng(0).permutation(order)
    random_insertion, random_deletion = insertion_and_deletion(WeightedSum(), variables, image, blurred, shuffled)
    assert area_under_curve(insertion) > area_under_curve(random_insertion)
    assert area_under_curve(deletion) < area_under_curve(random_deletion)


def test_the_order_is_that_of_the_smoothed_map_inside_the_breast():
    breast = EVERYWHERE.copy()
    breast[:5] = False
    order = order_by_saliency(noise(0), breast)
    assert sorted(order) == np.flatnonzero(breast).tolist()
    assert (np.diff(smooth(noise(0)).ravel()[order]) <= 0).all()


def test_area_of_a_straight_line():
    assert area_under_curve(FRACTIONS) == pytest.approx(0.5)
