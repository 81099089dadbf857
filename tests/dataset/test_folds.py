import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mammo_jax.dataset.folds import (
    FoldError,
    check_duplicates,
    hash_pixels,
    make_folds,
    read_folds,
    stored_folds,
    write_folds,
)


def people(n_patients, units=3, share=0.3, seed=0):
    rng = np.random.default_rng(seed)
    patients = [f"p{patient:03d}" for patient in range(n_patients) for _ in range(units)]
    targets = np.repeat(rng.permutation(n_patients) < share * n_patients, units).astype(int)
    return patients, targets


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 1)), min_size=20, max_size=120),
    st.integers(2, 5),
    st.integers(0, 2**32 - 1),
)
def test_a_patient_is_in_one_fold_and_every_fold_has_both_outcomes(units, n_folds, seed):
    patients = [f"p{patient}" for patient, _ in units]
    targets = np.array([target for _, target in units])
    assume(all(len({p for p, t in units if t == target}) >= n_folds for target in (0, 1)))
    try:
        folds = make_folds(patients, targets, n_folds=n_folds, seed=seed)
    except FoldError as error:  # the greedy division can leave a fold without a class, and reports it
        assume("use fewer folds or another --fold-seed" not in str(error))
        raise
    assert set(folds.tolist()) == set(range(n_folds))
    assert len(set(zip(patients, folds.tolist()))) == len(set(patients))
    for fold in range(n_folds):
        assert set(targets[folds == fold]) == {0, 1}


def test_the_shares_are_even():
    patients, targets = people(150, share=0.2)
    folds = make_folds(patients, targets)
    for fold in range(5):
        assert abs(targets[folds == fold].mean() - 0.2) < 0.03
        assert abs((folds == fold).sum() - 90) <= 6


def test_the_same_for_any_order_and_another_for_another_seed():
    patients, targets = people(60)
    folds = make_folds(patients, targets, seed=3)
    order = np.random.default_rng(1).permutation(len(patients))
    shuffled = make_folds([patients[i] for i in order], targets[order], seed=3)
    np.testing.assert_array_equal(shuffled, folds[order])
    assert (make_folds(patients, targets, seed=4) != folds).any()


@pytest.mark.parametrize(
    ("patients", "targets", "message"),
    [
        (["a", "b", "c"], [1, 1, 1], "all images are positive"),
        (
            ["a", "a", "a", "a", "b", "c"],
            [1, 1, 1, 0, 0, 0],
            "only 1 patients have positive images, too few for 2",
        ),
        ([], [], "cannot be made"),
        (["a", "b"], [1], "cannot be made"),
    ],
)
def test_units_that_cannot_be_divided_are_refused(patients, targets, message):
    with pytest.raises(FoldError, match=message):
        make_folds(patients, targets, n_folds=2)


def test_stored_folds_are_reused_whatever_the_seed(tmp_path):
    patients, targets = people(40)
    path = tmp_path / "folds.csv"
    folds = stored_folds(path, patients, targets, seed=1)
    content = path.read_bytes()
    np.testing.assert_array_equal(stored_folds(path, patients, targets, seed=2), folds)
    np.testing.assert_array_equal(stored_folds(path, patients[30:60], targets[30:60], seed=2), folds[30:60])
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["folds.csv"]


def test_the_file_counts_units_and_positives(tmp_path):
    write_folds(tmp_path / "f.csv", ["b", "a", "b"], [0, 1, 1], np.array([1, 0, 1]))
    assert (tmp_path / "f.csv").read_text() == "patient_id,fold,units,positives\na,0,1,1\nb,1,2,1\n"
    assert read_folds(tmp_path / "f.csv") == {"a": 0, "b": 1}


def test_a_patient_in_two_folds_is_not_written(tmp_path):
    with pytest.raises(FoldError, match="patient b is in the folds 1 and 0"):
        write_folds(tmp_path / "f.csv", ["b", "b"], [0, 1], np.array([1, 0]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("patient,fold\na,0\n", "the header is not"),
        ("", "the header is not"),
        ("patient_id,fold,units,positives\na,x,1,1\n", "line 2: no patient and fold"),
        ("patient_id,fold,units,positives\na\n", "line 2: no patient and fold"),
        ("patient_id,fold,units,positives\na,0,1,1\na,1,1,1\n", "line 3: patient a is in two folds"),
    ],
)
def test_damaged_files_are_named(tmp_path, content, message):
    (tmp_path / "f.csv").write_text(content)
    with pytest.raises(FoldError, match=rf"f\.csv.*{message}"):
        read_folds(tmp_path / "f.csv")


def test_folds_of_other_images_are_refused(tmp_path):
    patients, targets = people(40)
    stored_folds(tmp_path / "f.csv", patients, targets)
    with pytest.raises(FoldError, match="lacks 1 patients, first new"):
        stored_folds(tmp_path / "f.csv", [*patients, "new"], [*targets, 0])
    with pytest.raises(FoldError, match="has 5 folds, not 3"):
        stored_folds(tmp_path / "f.csv", patients, targets, n_folds=3)


def test_equal_grey_levels_have_one_hash():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    same = {hash_pixels(pixels), hash_pixels(pixels.astype(np.uint16)), hash_pixels(pixels.astype(">u2"))}
    assert len(same) == 1
    assert hash_pixels(np.asfortranarray(pixels)) in same
    others = {hash_pixels(pixels.reshape(4, 3)), hash_pixels(pixels + 1), hash_pixels(pixels.T)}
    assert len(same | others) == 4


def test_duplicates_across_patients_are_refused_and_within_one_are_returned():
    assert check_duplicates(["i1", "i2", "i3"], ["a", "a", "b"], ["x", "x", "y"]) == [("i1", "i2")]
    assert check_duplicates(["i1", "i2"], ["a", "b"], ["x", "y"]) == []
    with pytest.raises(FoldError, match=r"i1 \(patient a\) = i3 \(patient b\).*one patient id or leave one out"):
        check_duplicates(["i1", "i2", "i3"], ["a", "a", "b"], ["x", "y", "x"])
