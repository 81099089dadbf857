"""wAFROC against its definition, written down as loops over images, and its bootstrap."""

import re

import numpy as np
import pandas as pd
import pytest
from prediction_tables import predictions_table, transfer_losses

from mammo_jax.statistics.evaluation import evaluate
from mammo_jax.statistics.marks import hit_lesions, read_lesions, read_marks
from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.predictions import PredictionsError
from mammo_jax.statistics.wafroc import localisation, wafroc

NONE = -np.inf


def naive(normal: list[float], diseased: list[list[tuple[float, float]]]) -> float:
    """Loop over images: highest mark of each image without lesions, and (rating, share) of each image's lesions."""
    total = 0.0
    for lesions in diseased:
        for rating, share in lesions:
            for highest in normal:
                total += share * ((highest < rating) + 0.5 * (highest == rating))
    return total / (len(normal) * len(diseased))


def by_sites(normal, diseased, weights=None):
    rows = [(image, True, *lesion) for image, lesions in enumerate(diseased) for lesion in lesions]
    rows += [(len(diseased) + image, False, rating, 1.0) for image, rating in enumerate(normal)]
    images, is_lesion, ratings, shares = map(np.array, zip(*rows))
    weights = np.ones((len(normal) + len(diseased), 1)) if weights is None else weights
    return wafroc(images, is_lesion, ratings.astype(float), shares, weights)


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_the_definition(seed):
    rng = np.random.default_rng(seed)
    normal = [NONE if rng.random() < 0.3 else float(rng.integers(0, 5)) for _ in range(17)]
    diseased = []
    for _ in range(11):
        shares = rng.dirichlet(np.ones(rng.integers(1, 4)))
        diseased.append([(NONE if rng.random() < 0.3 else float(rng.integers(1, 7)), share) for share in shares])
    assert by_sites(normal, diseased)[0] == pytest.approx(naive(normal, diseased), abs=1e-12)
    twice = np.ones((28, 2))
    twice[[2, 15], 1] = 2, 3
    expected = naive(normal[:4] + [normal[4]] * 3 + normal[5:], [*diseased, diseased[2]])
    assert by_sites(normal, diseased, twice)[1] == pytest.approx(expected, abs=1e-12)


def test_cases_by_hand():
    assert by_sites([NONE, NONE], [[(NONE, 1.0)]])[0] == 0.5, "nothing marked: chance"
    assert by_sites([1.0, NONE], [[(2.0, 1.0)]])[0] == 1
    assert by_sites([1.0, 3.0], [[(2.0, 0.5), (NONE, 0.5)]])[0] == pytest.approx(0.25)
    assert by_sites([NONE], [[(2.0, 0.9), (NONE, 0.1)]])[0] == pytest.approx(0.95), "an unmarked lesion ties"


def test_a_mark_hits_the_nearest_lesion_within_its_radius():
    lesions = pd.DataFrame({"image_id": ["a", "a", "b"], "row": [10.0, 20, 10], "column": 10.0, "radius": [8.0, 8, 3]})
    marks = pd.DataFrame({"image_id": list("aaaabc"), "row": [14.0, 16, 27, 29, 13.1, 10], "column": 10.0})
    assert hit_lesions(marks, lesions).tolist() == [0, 1, 1, -1, -1, -1]


@pytest.fixture(scope="module")
def study():
    """Predictions, marks whose rating is the score, at the lesion in most positive images, and lesions."""
    table = predictions_table(transfer_losses({1.0: 0.0, 15.0: 2.0}), patients=120, folds=2)
    images = table.drop_duplicates("image_id")
    lesions = images.loc[images["label"] == 1, ["image_id"]].assign(row=50.0, column=50.0, radius=5.0)
    marks = table[["test_ratio", "image_id"]].assign(row=50.0, column=52.0, rating=table["score"])
    return table, marks.reset_index(drop=True), lesions.reset_index(drop=True)


def test_one_mark_an_image_at_the_lesion_gives_the_auroc(study):
    """Then a lesion's rating is its image's score, and wAFROC is AUROC: estimate, interval and change."""
    table, marks, lesions = study
    found = localisation(table, marks, lesions, resamples=300, seed=0)
    model = evaluate(table, resamples=300)["models"][0]
    assert [row["test_ratio"] for row in found["results"]] == [1.0, 15.0]
    for row, result in zip(found["results"], model["results"], strict=True):
        assert row["wafroc"]["value"] == pytest.approx(result["auroc"]["mean"], abs=1e-12)
        assert row["wafroc"]["low"] == pytest.approx(result["auroc"]["low"], abs=1e-12)
        assert (row["lesions_marked"], row["false_marks"]) == (1, 1)
    assert found["results"][0]["change"] is None
    step = model["verdicts"]["transfer"]["steps"][0]
    assert found["results"][1]["change"]["low"] == pytest.approx(step["lower_bound"], abs=1e-12)


def test_a_model_that_looks_elsewhere_is_found_out(study):
    """With the same scores and so the same AUROC: half of the marks beside the lesion."""
    table, marks, lesions = study
    elsewhere = marks.assign(row=np.where((marks.index % 2 == 0) & (marks["test_ratio"] == 15), 90.0, marks["row"]))
    right, wrong = (localisation(table, own, lesions, resamples=200, seed=0) for own in (marks, elsewhere))
    assert wrong["results"][0] == right["results"][0]
    assert wrong["results"][1]["wafroc"]["value"] < right["results"][1]["wafroc"]["value"] - 0.2
    assert wrong["results"][1]["change"]["high"] < 0
    assert 0.3 < wrong["results"][1]["lesions_marked"] < 0.7


def test_a_ratio_without_any_mark_is_one_where_nothing_is_found(study):
    table, marks, lesions = study
    found = localisation(table, marks[marks["test_ratio"] == 1], lesions, resamples=200, seed=0)["results"]
    assert [row["test_ratio"] for row in found] == [1.0, 15.0]
    assert found[1]["wafroc"]["value"] == pytest.approx(0.5)
    assert (found[1]["lesions_marked"], found[1]["false_marks"]) == (0, 0)
    assert found[1]["change"]["high"] < 0


def test_lesions_of_an_image_share_its_weight(study):
    table, marks, lesions = study
    twice = pd.concat([lesions.assign(weight=3.0), lesions.assign(row=500.0, weight=1.0)])
    one = localisation(table, marks, lesions, resamples=200, seed=0)["results"][0]["wafroc"]["value"]
    two = localisation(table, marks, twice, resamples=200, seed=0)["results"][0]["wafroc"]["value"]
    assert two == pytest.approx(0.75 * one, abs=1e-12), "every other image is marked, so an unmarked lesion never wins"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m, s: (m.assign(image_id="x"), s), "marks: image_id 'x' is not among the predictions"),
        (lambda m, s: (m[m["test_ratio"] == 15], s), "there are none with test_ratio 1"),
        (lambda m, s: (m.assign(test_ratio=m["test_ratio"] + 1), s), "test_ratio 2 is not among"),
        (lambda m, s: (m.assign(seed=4.0), s), "seed 4 is not among the predictions, which have [0]"),
        (lambda m, s: (m, s.iloc[1:]), "has label 1 and no lesion"),
        (lambda m, s: (m, s.assign(image_id="y")), "lesions: image_id 'y'"),
    ],
)
def test_tables_that_do_not_fit_are_refused(study, spoil, message):
    table, marks, lesions = study
    with pytest.raises(StatisticsError, match=re.escape(message)):
        localisation(table, *spoil(marks, lesions), resamples=100, seed=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id,row\na,1\n", "column 'column' is missing"),
        ("image_id,row,column,radius\na,1,2,-3\n", "line 2, column radius: must be above 0"),
        ("image_id,row,column,radius\na,1,2,3\nb,one,2,3\n", "line 3, column row: 'one' is no number"),
        ("", "not a readable CSV file"),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    path = tmp_path / "lesions.csv"
    path.write_text(text)
    with pytest.raises(PredictionsError, match=f"lesions.csv: .*{re.escape(message)}"):
        read_lesions(path)
    with pytest.raises(PredictionsError, match="no such file"):
        read_marks(tmp_path / "marks.csv")
