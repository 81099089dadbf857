"""Too few patients of a class are found before the first image is compressed, and the way out that is named works."""

import dataclasses
import re

import pytest

from mammo_jax.planning.errors import PlanError
from mammo_jax.planning.patients import Images, patients_of_folds


def cohort(positive, negative):
    names = [f"p{number}" for number in range(positive)] + [f"n{number}" for number in range(negative)]
    return images(names, [1] * positive + [0] * negative)


def images(names, targets):
    return Images(names, targets, ([not target for target in targets], [bool(target) for target in targets]))


def checked(positive, negative, folds, parts):
    return patients_of_folds(cohort(positive, negative), n_folds=folds, seed=0, validation_parts=parts)


def test_every_patient_is_in_one_fold_and_counted_there():
    folds = checked(13, 40, 5, 5)
    assert sum(fold.positive for fold in folds) == 13
    assert sum(fold.negative for fold in folds) == 40
    assert frozenset.union(*(fold.names for fold in folds)) == frozenset(cohort(13, 40).patients)
    assert sum(len(fold.names) for fold in folds) == 53


@pytest.mark.parametrize(
    ("positive", "folds"),
    [(8, 2), (7, 2), (6, 3), (6, 9), (20, 21)],
)
def test_the_number_of_folds_that_is_proposed_is_enough(positive, folds):
    with pytest.raises(PlanError, match=f"{positive} positive and 60 negative patients are too few") as caught:
        checked(positive, 60, folds, 5)
    proposed = int(re.search(r"--folds (\d+) would be enough", str(caught.value))[1])
    assert len(checked(positive, 60, proposed, 5)) == proposed


def test_with_two_folds_more_folds_are_proposed_and_not_fewer():
    with pytest.raises(PlanError, match=r"beside one fold only 4 of one class are left .*--folds 5 would be enough"):
        checked(8, 60, 2, 5)


def test_where_no_number_of_folds_is_enough_fewer_validation_parts_are_proposed():
    with pytest.raises(PlanError, match=r"--folds \d+ --validation-parts \d would do") as caught:
        checked(4, 60, 2, 5)
    folds, parts = (
        int(text) for text in re.search(r"--folds (\d+) --validation-parts (\d)", str(caught.value)).groups()
    )
    assert checked(4, 60, folds, parts)


def test_a_single_positive_patient_is_never_enough():
    with pytest.raises(PlanError, match="more patients are needed"):
        checked(1, 60, 5, 5)


def test_the_folds_of_a_run_that_was_begun_are_kept():
    both = cohort(10, 10)
    stored = {name: 0 if name.startswith("p") else 1 for name in both.patients}
    with pytest.raises(PlanError, match="beside one fold only 0 of one class are left"):
        patients_of_folds(both, n_folds=2, seed=0, validation_parts=5, stored=stored)


def test_patients_are_counted_by_what_their_images_give():
    """A positive image without a marked lesion gives no positive patch, and one with a lesion gives normal ones too."""
    both = cohort(10, 10)
    patches = dataclasses.replace(both, examples=([True] * 20, [True] * 8 + [False] * 12))
    folds = patients_of_folds(patches, n_folds=5, seed=0, validation_parts=5)
    assert sum(fold.positive for fold in folds) == 8
    assert sum(fold.negative for fold in folds) == 20
