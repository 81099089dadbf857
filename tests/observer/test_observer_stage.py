"""All arms on a small study: who finds the lesion, what a shortcut is, and that nobody sees held-out labels."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from prediction_tables import predictions_table
from sklearn.metrics import roc_auc_score
from synthetic_observer_plan import SIZE, examples, plan, tables

from mammo_jax.observer import stage
from mammo_jax.observer.shortcuts import MAX_PSNR, SHORTCUTS, outside_circle, shortcut_statistics
from mammo_jax.observer.stage import ObserverError, held_out_scores, permuted_targets, score_observers
from mammo_jax.observer.summary import summarise


@pytest.fixture(scope="module")
def scores():
    return score_observers(plan())


@pytest.fixture(scope="module")
def summary(scores):
    return summarise(scores, None, resamples=200)


def curve(summary, arm, training="matched"):
    return {row["ratio"]: row for row in summary["curves"] if (row["arm"], row["training"]) == (arm, training)}


def seeing(scores):
    """All arms but the blind ones, which take the most time."""
    return scores[scores["model"] != "blind"]


def test_the_observer_finds_the_lesion_until_it_fades(summary):
    for training in ("transfer", "matched"):
        rows = curve(summary, "observer", training)
        assert list(rows) == [1.0, 15.0, 1000.0]
        assert rows[1]["low"] > 0.9
        assert rows[1]["change"] is None
        assert rows[1000]["change"]["high"] < 0


def test_an_auroc_is_the_mean_of_scikit_learns_within_the_folds(scores, summary):
    for arm, train in (("observer", "1"), ("observer", "1000"), ("psnr", "1000")):
        table = scores[(scores["model"] == arm) & (scores["train_ratio"] == train) & (scores["test_ratio"] == 1000)]
        areas = [roc_auc_score(fold["label"], fold["score"]) for _, fold in table.groupby("fold")]
        row = curve(summary, arm, "transfer" if train == "1" else "matched")[1000]
        assert row["mean"] == pytest.approx(np.mean(areas), abs=1e-12)


def test_fewer_pixels_cost_what_the_ratio_asks_for(summary):
    rows = curve(summary, "resized")
    # A pixel of the patch is 4 of the original's wide: 15 times fewer are nothing new, 1000 times leave 2 by 2.
    assert rows[15]["mean"] == rows[1]["mean"] == curve(summary, "observer")[1]["mean"]
    assert rows[1000]["mean"] < rows[1]["mean"]
    against = {row["ratio"]: row["mean"] for row in summary["against_resized"]}
    assert list(against) == [15.0, 1000.0]
    assert against[1000] == pytest.approx(curve(summary, "observer")[1000]["mean"] - rows[1000]["mean"])


def test_the_blind_observer_is_at_chance(scores, summary):
    rows = curve(summary, "blind")
    assert summary["blind_at_chance"]
    assert scores.loc[scores["model"] == "blind", "seed"].nunique() == stage.PERMUTATIONS
    for row in rows.values():
        assert row["low"] < 0.5 < row["high"] < 0.65


def test_a_blind_observer_that_sees_is_reported(scores):
    told = scores[~scores["model"].eq("blind") | scores["seed"].lt(2)].copy()
    blind = told["model"] == "blind"
    told.loc[blind, "score"] += told.loc[blind, "score"].std() * told.loc[blind, "label"]
    assert not summarise(told, None, resamples=100)["blind_at_chance"]


def test_nothing_is_a_shortcut_where_nothing_leaks_and_psnr_is_where_it_does(summary):
    assert summary["shortcuts"] == []
    named = summarise(seeing(score_observers(plan(leak=2.0))), None, resamples=100)["shortcuts"]
    assert {shortcut["arm"] for shortcut in named} == {"psnr", "statistics"}
    psnr = next(shortcut for shortcut in named if shortcut["arm"] == "psnr")
    assert (psnr["ratios"], psnr["of"]) == (2, 3)  # uncompressed there is no PSNR
    assert psnr["largest"]["mean"] > 0.6


def test_the_network_is_judged_on_the_same_terms(scores):
    network = predictions_table({("1", 1.0): 0.0, ("1", 15.0): 0.1, ("15", 15.0): 0.0, ("15", 1.0): 0.3}, folds=2)
    summary = summarise(seeing(scores), network, resamples=100)
    assert list(curve(summary, "network", "transfer")) == [1.0, 15.0]
    assert list(curve(summary, "network", "matched")) == [1.0, 15.0]
    assert summary["counts"] == {"patches": 320, "positive_patches": 40, "patients": 80, "positive_patients": 40}


def test_held_out_labels_do_not_change_their_scores():
    table = examples()
    values = np.random.default_rng(0).normal(size=(len(table), 5)) + table.targets[:, None]
    before = held_out_scores(values, values, table.targets, table.folds)
    other = np.where(table.folds == 2, 1 - table.targets, table.targets)
    after = held_out_scores(values, values, other, table.folds)
    np.testing.assert_array_equal(before[table.folds == 2], after[table.folds == 2])
    assert (before != after)[table.folds != 2].all()


def test_transfer_is_trained_uncompressed_and_matched_at_the_ratio(scores):
    cells = scores[["model", "train_ratio", "test_ratio"]].drop_duplicates()
    expected = {("1", 1.0), ("1", 15.0), ("15", 15.0), ("1", 1000.0), ("1000", 1000.0)}
    for arm, cell in cells.groupby("model"):
        found = set(zip(cell["train_ratio"], cell["test_ratio"]))
        own = {(train, test) for train, test in expected if float(train) == test}
        assert found == (expected if arm in ("observer", "resized") else own), arm


@pytest.mark.parametrize("seed", range(3))
def test_permuted_labels_stay_in_their_fold_and_say_nothing(seed):
    table = examples()
    permuted = permuted_targets(table, seed)
    for fold in range(4):
        assert permuted[table.folds == fold].sum() == table.targets[table.folds == fold].sum()
    positive = pd.Series(permuted).groupby(table.patient_ids).sum()
    assert set(positive) == {0, 1}  # a patient's labels stay together
    assert abs(np.corrcoef(permuted, table.targets)[0, 1]) < 0.25
    np.testing.assert_array_equal(permuted, permuted_targets(table, seed))


def test_statistics_are_those_of_the_file_and_the_corners():
    table = examples(15.0)
    sources = np.array([name.rpartition(".")[0] for name in table.image_ids])
    audit, images = tables(table)
    names = list(SHORTCUTS)
    values = dict(zip(names, shortcut_statistics(table, sources, 15.0, audit, images).T))
    rows = audit[audit["ratio"] == 15].set_index("image_id").loc[sources]
    np.testing.assert_array_equal(values["psnr"], rows["psnr"])
    np.testing.assert_array_equal(values["psnr_breast"], MAX_PSNR)  # infinite in the audit
    np.testing.assert_allclose(values["breast_pixels"], 5000 + 7 * np.repeat(np.arange(160), 2))
    corners = outside_circle(SIZE)
    assert 0.15 < corners.mean() < 0.25
    assert not corners[SIZE // 2].any()
    np.testing.assert_allclose(values["corner_mean"], [image[corners].mean() for image in table.images[..., 0]])
    uncompressed = dict(zip(names, shortcut_statistics(examples(1.0), sources, 1.0, audit, images).T))
    np.testing.assert_array_equal(uncompressed["codestream_bytes"], 20000)
    np.testing.assert_array_equal(uncompressed["breast_pixels"], values["breast_pixels"])


def test_ratios_with_other_patches_are_refused():
    def read(ratio):
        whole = examples(ratio)
        return whole if ratio == 1 else whole.take(np.arange(8, len(whole)))

    with pytest.raises(ObserverError, match="a run: CR 15 has other patches than CR 1; prepare it again"):
        score_observers(plan(read=read))


def test_a_fold_that_holds_all_positives_is_refused():
    def read(ratio):
        table = examples(ratio)
        return replace(table, targets=np.where(table.folds == 1, table.targets, 0))

    with pytest.raises(ObserverError, match="a run: outside of fold 1 all patches have one label"):
        score_observers(plan(read=read))
