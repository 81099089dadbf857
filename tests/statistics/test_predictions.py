"""The predictions table: a round trip through files, and errors that name what is wrong."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from prediction_tables import predictions_table

from mammo_jax.statistics.predictions import (
    COLUMNS,
    PredictionsError,
    check_predictions,
    merge_predictions,
    read_predictions,
    write_predictions,
)


def predictions(images: int = 6, *, fold: int = 0, train_ratio: str = "1", test_ratio: float = 1.0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": "cnn",
            "train_ratio": train_ratio,
            "test_ratio": test_ratio,
            "fold": fold,
            "seed": 3,
            "patient_id": [f"f{fold}p{i // 2:03}" for i in range(images)],
            "image_id": [f"f{fold}i{i:03}" for i in range(images)],
            "label": [i % 2 for i in range(images)],
            "score": np.linspace(-2, 2, images),
        }
    )


def test_parquet_round_trip_is_sorted_and_has_no_pandas_index(tmp_path):
    table = predictions()
    write_predictions(tmp_path / "a.parquet", table)
    write_predictions(tmp_path / "b.parquet", table.iloc[::-1])
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "a.parquet"), table, check_dtype=False)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert schema.names == list(COLUMNS)
    assert not schema.metadata


def test_csv_keeps_leading_zeros_and_spells_ratios_one_way(tmp_path):
    table = predictions().assign(train_ratio="15.0", test_ratio="15", patient_id="007", fold=1, note="ignored")
    table.to_csv(tmp_path / "theirs.csv", index=False)
    read = read_predictions(tmp_path / "theirs.csv")
    assert read["patient_id"].unique().tolist() == ["007"]
    assert read["train_ratio"].unique().tolist() == ["15"]
    assert read["test_ratio"].unique().tolist() == [15.0]
    assert read["label"].dtype == np.int64
    assert list(read.columns) == list(COLUMNS)
    np.testing.assert_allclose(read["score"], table["score"])


def test_mixed_is_a_train_ratio(tmp_path):
    write_predictions(tmp_path / "m.parquet", predictions(train_ratio="mixed", test_ratio=26.67))
    read = read_predictions(tmp_path / "m.parquet")
    assert read["train_ratio"].unique().tolist() == ["mixed"]
    assert read["test_ratio"].unique().tolist() == [26.67]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("score", "inf", r"column 'score', row 4: 'inf' is not a finite number \(1 such rows\)"),
        ("score", "", r"column 'score', row 4"),
        ("score", "high", r"column 'score', row 4: 'high'"),
        ("label", "2", r"column 'label', row 4: '2' is not 0 \(negative\) or 1"),
        ("label", "malignant", r"column 'label', row 4"),
        ("fold", "0.5", r"column 'fold', row 4: '0.5' is not a whole number"),
        ("seed", "-1", r"column 'seed', row 4"),
        ("seed", "1e300", r"column 'seed', row 4: '1e300' is not a whole number from 0 to 9007199254740991"),
        ("test_ratio", "0", r"column 'test_ratio', row 4"),
        ("test_ratio", "0.5", r"column 'test_ratio', row 4: '0.5' is not a compression ratio from 1 up"),
        ("train_ratio", "0.5", r"column 'train_ratio', row 4: '0.5' is not a compression ratio from 1 up"),
        ("train_ratio", "all", r"column 'train_ratio', row 4: 'all'"),
        ("patient_id", " ", r"column 'patient_id', row 4"),
        ("image_id", "f0i001", r"the same image is scored twice.*'f0i001'"),
    ],
)
def test_a_bad_cell_is_named(tmp_path, column, value, message):
    table = predictions().astype(str)
    table.loc[2, column] = value
    table.to_csv(tmp_path / "theirs.csv", index=False)
    with pytest.raises(PredictionsError, match=rf"theirs\.csv: .*{message}"):
        read_predictions(tmp_path / "theirs.csv")


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(tmp_path, column):
    predictions().drop(columns=column).to_csv(tmp_path / "theirs.csv", index=False)
    with pytest.raises(PredictionsError, match=rf"theirs\.csv: column '{column}' is missing; .*columns model, "):
        read_predictions(tmp_path / "theirs.csv")


def test_a_patient_in_two_folds_is_refused(tmp_path):
    table = pd.concat([predictions(2), predictions(2, fold=1).assign(patient_id="f0p000")])
    with pytest.raises(PredictionsError, match=r"column 'fold'.*'f0p000'.* has 0 and 1; keep all images of a patient"):
        write_predictions(tmp_path / "p.parquet", table)


@pytest.mark.parametrize(("column", "value"), [("label", 1), ("patient_id", "other")])
def test_an_image_has_one_label_and_one_patient(tmp_path, column, value):
    again = predictions(test_ratio=15.0)
    again.loc[0, column] = value
    with pytest.raises(PredictionsError, match=rf"column '{column}'.*'f0i000'"):
        write_predictions(tmp_path / "p.parquet", pd.concat([predictions(), again]))


def test_a_refused_table_leaves_the_old_file(tmp_path):
    path = tmp_path / "p.parquet"
    write_predictions(path, predictions())
    before = path.read_bytes()
    with pytest.raises(PredictionsError):
        write_predictions(path, predictions().assign(score=np.nan))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["p.parquet"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.parquet", None, "no such file"),
        ("broken.parquet", b"PAR1 no", "not a readable parquet table"),
        ("empty.csv", b"", "not a readable csv table"),
        ("header.csv", (",".join(COLUMNS) + "\n").encode(), "has no rows"),
        ("latin.csv", b"model\n\xff\n", "not a readable csv table"),
        ("table.xlsx", b"", r"\.parquet or \.csv"),
    ],
)
def test_an_unreadable_file_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PredictionsError, match=rf"{name}: .*{message}"):
        read_predictions(tmp_path / name)


def test_a_comma_at_the_end_of_every_row_shifts_no_column(tmp_path):
    header, *rows = predictions().to_csv(index=False).splitlines()
    (tmp_path / "theirs.csv").write_text("\n".join([header, *(f"{row}," for row in rows)]))
    with pytest.raises(PredictionsError, match="Expected 9 fields in line 2, saw 10"):
        read_predictions(tmp_path / "theirs.csv")
    (tmp_path / "theirs.csv").write_text("\n".join(f"{row}," for row in (header, *rows)))
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "theirs.csv"), predictions(), check_dtype=False)


def test_a_row_that_ends_early_lacks_its_last_cells(tmp_path):
    header, *rows = predictions().to_csv(index=False).splitlines()
    (tmp_path / "theirs.csv").write_text("\n".join([header, *rows[:-1], rows[-1].rpartition(",")[0]]))
    with pytest.raises(PredictionsError, match="column 'score', row 7"):
        read_predictions(tmp_path / "theirs.csv")


def test_a_column_named_twice_is_refused(tmp_path):
    table = predictions()
    pd.concat([table, table[["score"]]], axis=1).to_csv(tmp_path / "theirs.csv", index=False)
    with pytest.raises(PredictionsError, match="names the column 'score' twice"):
        read_predictions(tmp_path / "theirs.csv")


@pytest.mark.parametrize("name", ["folder.csv", "folder.parquet"])
def test_a_folder_is_refused(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(PredictionsError, match="is a folder; name a"):
        read_predictions(tmp_path / name)


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    with pytest.raises(PredictionsError, match=r"loop\.csv: cannot be read \(Too many levels"):
        read_predictions(tmp_path / "loop.csv")


def test_merge_does_not_depend_on_the_order_of_parts(tmp_path):
    parts = []
    for fold in (2, 0, 1):
        parts.append(tmp_path / f"{fold}.parquet")
        write_predictions(parts[-1], predictions(fold=fold))
    merged = merge_predictions(parts, tmp_path / "all.parquet")
    assert len(merged) == 18
    assert merged["fold"].tolist() == sorted(merged["fold"])
    merge_predictions(parts[::-1], tmp_path / "again.parquet")
    assert (tmp_path / "all.parquet").read_bytes() == (tmp_path / "again.parquet").read_bytes()


def test_merge_refuses_overlapping_parts(tmp_path):
    for name in ("a", "b"):
        write_predictions(tmp_path / f"{name}.parquet", predictions())
    with pytest.raises(PredictionsError, match="scored twice"):
        merge_predictions(tmp_path.glob("*.parquet"), tmp_path / "all.parquet")
    with pytest.raises(PredictionsError, match="no predictions to merge"):
        merge_predictions([], tmp_path / "all.parquet")


def test_the_breast_is_optional_and_may_be_known_for_some_images_only(tmp_path):
    table = predictions().assign(breast=["L", " R", "", None, "L", "01"])
    known = ["L", "R", "", "", "L", "01"]
    table.to_csv(tmp_path / "theirs.csv", index=False)
    assert read_predictions(tmp_path / "theirs.csv")["breast"].tolist() == known
    write_predictions(tmp_path / "a.parquet", table)
    assert read_predictions(tmp_path / "a.parquet")["breast"].tolist() == known
    assert pq.read_schema(tmp_path / "a.parquet").names == [*COLUMNS, "breast"]
    write_predictions(tmp_path / "b.parquet", table.assign(breast=""))
    assert pq.read_schema(tmp_path / "b.parquet").names == list(COLUMNS)


def test_parts_with_and_without_breasts_are_merged(tmp_path):
    write_predictions(tmp_path / "a.parquet", predictions().assign(breast="L"))
    write_predictions(tmp_path / "b.parquet", predictions(fold=1))
    merged = merge_predictions([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "all.parquet")
    assert merged.groupby("fold")["breast"].unique().map(list).to_dict() == {0: ["L"], 1: [""]}


def test_an_image_shows_one_breast(tmp_path):
    table = pd.concat([predictions().assign(breast="L"), predictions(test_ratio=15.0).assign(breast="R")])
    with pytest.raises(PredictionsError, match=r"column 'breast'.*'f0i000'.* has 'L' and 'R'; give the image one"):
        write_predictions(tmp_path / "p.parquet", table)


def test_validation_scores_are_of_cr_1_and_of_any_fold(tmp_path):
    table = predictions_table({("1", 1.0): 0.0}, patients=20)
    table = pd.concat([table, table.assign(fold=(table["fold"] + 1) % 5)])
    with pytest.raises(PredictionsError, match="keep all images of a patient in one fold"):
        write_predictions(tmp_path / "validation.parquet", table)
    write_predictions(tmp_path / "validation.parquet", table, validation=True)
    assert len(read_predictions(tmp_path / "validation.parquet", validation=True)) == len(table)
    with pytest.raises(PredictionsError, match=r"test_ratio.*15.* is not 1"):
        check_predictions(table.assign(test_ratio=15.0), "validation", validation=True)
