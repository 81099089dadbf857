import numpy as np
import pytest

from mammo_jax.statistics.bootstrap import Estimate
from mammo_jax.statistics.rule import Rule
from mammo_jax.statistics.verdict import verdict as verdict_of
from mammo_jax.statistics.verdict import verdict_sentence

RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=4000)


def estimate(value: float, spread: float = 0.02, own: float = 0.004) -> Estimate:
    """Return an estimate whose replicates share most of their noise with others, as paired ones do."""
    return Estimate(value, value + spread * NOISE + own * RNG.normal(size=NOISE.size))


def verdict(kind, auroc, *, seeds, patients=((300, 700),), harms=None, **rule):
    return verdict_of(kind, auroc, seeds=seeds, patients=patients, rule=Rule(**rule), harms=harms or {})


def harm(measure="sensitivity"):
    return {"measure": measure, "place": "at the threshold 3", "loss": 0.049, "low": 0.009, "high": 0.098}


def test_monotone_fall_stops_where_the_lower_bound_passes_the_margin():
    curve = {1.0: 0.90, 15.0: 0.90, 100.0: 0.88, 1000.0: 0.856, 10000.0: 0.7}
    result = verdict("transfer", {ratio: estimate(value) for ratio, value in curve.items()}, seeds=1)
    # 0.856 itself is within 0.05 of 0.90; its lower bound, 1.96 × 0.004 × √2 below, is not.
    assert (result["outcome"], result["ratio"], result["first_failed"]) == ("ratio", 100.0, 1000.0)
    step = result["steps"][2]
    assert step["difference"] == pytest.approx(-0.044)
    assert step["lower_bound"] == pytest.approx(-0.044 - 1.960 * 0.004 * np.sqrt(2), abs=1e-3)
    at_other_alpha = step["lower_bound_at_other_alpha"]
    assert at_other_alpha == pytest.approx(-0.044 - 1.645 * 0.004 * np.sqrt(2), abs=1e-3)
    assert "Up to a compression ratio of 100" in verdict_sentence(result)
    assert "at CR 1000" in verdict_sentence(result)


def test_a_dip_ends_the_sequence_though_later_ratios_recover():
    curve = {1.0: 0.9, 15.0: 0.9, 20.0: 0.8, 50.0: 0.9, 100.0: 0.9}
    result = verdict("transfer", {ratio: estimate(value) for ratio, value in curve.items()}, seeds=1)
    assert (result["ratio"], result["first_failed"]) == (15.0, 20.0)
    assert [step["passed"] for step in result["steps"]] == [True, False, True, True]
    assert [step["in_sequence"] for step in result["steps"]] == [True, True, False, False]


def test_harm_forbids_a_ratio_that_passes_by_auroc_and_ends_the_sequence():
    curve = dict.fromkeys((1.0, 100.0, 500.0, 1000.0), estimate(0.9))
    result = verdict("transfer", curve, seeds=1, harms={500.0: [harm(), harm("specificity")], 1.0: []})
    assert (result["outcome"], result["ratio"], result["first_failed"]) == ("ratio", 100.0, 500.0)
    assert result["ratio_at_other_alpha"] == 100.0
    assert [step["passed"] for step in result["steps"]] == [True, True, True]
    assert [step["in_sequence"] for step in result["steps"]] == [True, True, False]
    assert verdict_sentence(result).endswith(
        "with 97.5 % confidence; CR 500 would pass by AUROC, but at the threshold 3, sensitivity falls by 4.9 points "
        "(0.9 to 9.8) and specificity falls by 4.9 points (0.9 to 9.8)."
    )
    first = verdict("transfer", curve, seeds=1, harms={100.0: [harm()]})
    assert (first["outcome"], first["ratio"], first["ratio_at_other_alpha"]) == ("no ratio passed", None, None)
    assert verdict_sentence(first).startswith("No ratio passed: CR 100 would pass by AUROC, but at the threshold 3")


def test_harm_is_no_veto_where_auroc_failed_already():
    curve = {1.0: estimate(0.9), 15.0: estimate(0.9), 100.0: estimate(0.8), 500.0: estimate(0.8)}
    result = verdict("transfer", curve, seeds=1, harms={100.0: [harm()], 500.0: [harm()]})
    assert (result["ratio"], result["first_failed"], result["veto"]) == (15.0, 100.0, [])
    assert "at CR 100 this is no longer shown" in verdict_sentence(result)


def test_order_of_the_mapping_does_not_matter():
    curve = {100.0: 0.7, 1.0: 0.9, 15.0: 0.9}
    result = verdict("transfer", {ratio: estimate(value) for ratio, value in curve.items()}, seeds=1)
    assert result["ratio"] == 15.0


def test_no_ratio_passed():
    result = verdict("transfer", {1.0: estimate(0.9), 15.0: estimate(0.8), 20.0: estimate(0.9)}, seeds=1)
    assert (result["outcome"], result["ratio"], result["first_failed"]) == ("no ratio passed", None, 15.0)
    assert verdict_sentence(result).startswith("No ratio passed: already at CR 15")


def test_all_passed_says_that_the_end_was_not_found():
    result = verdict("transfer", {1.0: estimate(0.9), 15.0: estimate(0.9)}, seeds=1)
    assert (result["ratio"], result["first_failed"]) == (15.0, None)
    assert "highest ratio tested" in verdict_sentence(result)


def test_a_model_at_chance_gets_no_verdict():
    result = verdict("transfer", {1.0: estimate(0.5), 15.0: estimate(0.5)}, seeds=3)
    assert (result["outcome"], result["ratio"]) == ("cannot tell", None)
    assert verdict_sentence(result).startswith("Cannot tell")


def test_the_gate_is_the_lower_bound_not_the_value():
    for value, outcome in ((0.73, "cannot tell"), (0.75, "ratio")):
        result = verdict("transfer", {1.0: estimate(value), 15.0: estimate(value)}, seeds=1)
        assert result["outcome"] == outcome
        assert result["auroc_uncompressed"]["lower_bound"] == pytest.approx(value - 1.960 * 0.0204, abs=2e-3)


def test_unpaired_noise_makes_the_bound_wider():
    alone = {1.0: estimate(0.9), 15.0: estimate(0.88, own=0.03)}
    assert verdict("transfer", alone, seeds=1)["outcome"] == "no ratio passed"
    paired = {1.0: estimate(0.9), 15.0: estimate(0.88)}
    assert verdict("transfer", paired, seeds=1)["outcome"] == "ratio"


def test_margin_decides():
    curve = {1.0: estimate(0.9), 15.0: estimate(0.87)}
    assert verdict("transfer", curve, seeds=1, margin=0.05)["ratio"] == 15.0
    assert verdict("transfer", curve, seeds=1, margin=0.02)["outcome"] == "no ratio passed"


def test_exactly_the_margin_does_not_pass():
    flat = {1.0: Estimate(0.875, np.full(100, 0.875)), 15.0: Estimate(0.8125, np.full(100, 0.8125))}
    assert verdict("transfer", flat, seeds=1, margin=0.0625)["outcome"] == "no ratio passed"


def test_matched_needs_five_seeds_and_is_about_these_training_patients():
    curve = {1.0: estimate(0.9), 15.0: estimate(0.9)}
    result = verdict("matched", curve, seeds=4)
    assert (result["outcome"], result["ratio"], result["ratio_at_other_alpha"]) == ("cannot tell", None, None)
    assert result["steps"][0]["passed"]
    assert verdict_sentence(result) == (
        "Cannot tell how much compression a model trained and tested at the same ratio tolerates: a matched verdict "
        "needs 5 training seeds, and there are 4."
    )
    assert "and there is 1; it needs 80 positive patients" in verdict_sentence(
        verdict("matched", curve, seeds=1, patients=((70, 700),))
    )
    given = verdict("matched", curve, seeds=5)
    assert given["ratio"] == 15.0
    assert "what other training patients would change is not known" in verdict_sentence(given)
    assert "other training patients" not in verdict_sentence(verdict("transfer", curve, seeds=5))


@pytest.mark.parametrize(
    ("ratios", "reason"), [([15.0], "uncompressed"), ([1.0], "compressed images"), ([], "uncompressed")]
)
def test_without_something_to_compare_there_is_no_verdict(ratios, reason):
    result = verdict("transfer", {ratio: estimate(0.9) for ratio in ratios}, seeds=1)
    assert result["outcome"] == "not given"
    assert reason in verdict_sentence(result)


def test_with_too_few_patients_no_ratio_is_given_and_the_missing_ones_are_counted():
    curve = {1.0: estimate(0.9), 15.0: estimate(0.9)}
    result = verdict("transfer", curve, seeds=1, patients=[(20, 80), (25, 80)])
    assert (result["outcome"], result["ratio"], result["ratio_at_other_alpha"]) == ("cannot tell", None, None)
    assert result["missing_positive_patients"] == 35
    assert "it needs 80 positive patients, and there are 45: 35 more" in verdict_sentence(result)
    assert result["steps"][0]["passed"]
    assert verdict("transfer", curve, seeds=1, patients=[(80, 80)])["ratio"] == 15.0


def test_one_patient_in_a_stratum_cannot_tell():
    curve = {1.0: estimate(0.9), 15.0: estimate(0.9)}
    result = verdict("transfer", curve, seeds=1, patients=[(90, 80), (1, 80)])
    assert (result["outcome"], result["missing_positive_patients"]) == ("cannot tell", 0)
    assert "single positive patient" in result["reason"]


def test_a_looser_level_is_shown_beside_the_chosen_one():
    curve = {1.0: estimate(0.9), 15.0: estimate(0.9), 100.0: estimate(0.8599)}
    strict = verdict("transfer", curve, seeds=1)
    loose = verdict("transfer", curve, seeds=1, alpha=0.05)
    assert (strict["ratio"], strict["ratio_at_other_alpha"]) == (15.0, 100.0)
    assert (loose["ratio"], loose["ratio_at_other_alpha"]) == (100.0, 15.0)
    assert strict["steps"][1]["lower_bound"] == loose["steps"][1]["lower_bound_at_other_alpha"]
    assert "with 97.5 % confidence" in verdict_sentence(strict)
    assert "with 95 % confidence" in verdict_sentence(loose)
    assert strict["margin_share"] == pytest.approx(0.05 / 0.4)
