import json

import numpy as np
import pandas as pd
import pytest
from prediction_tables import predictions_table, transfer_losses
from sklearn.metrics import roc_auc_score

from mammo_jax.statistics.analysis_levels import AnalysisLevels
from mammo_jax.statistics.evaluation import evaluate
from mammo_jax.statistics.prediction_grid import StatisticsError
from mammo_jax.statistics.predictions import PredictionsError
from mammo_jax.statistics.rule import Rule
from mammo_jax.statistics.subgroups import read_subgroups, subgroup_rows

TABLE = predictions_table(transfer_losses({1.0: 0.0, 50.0: 1.0}), folds=2)
IMAGES = TABLE.drop_duplicates("image_id").reset_index(drop=True)
POSITIVE = IMAGES["label"] == 1
NUMBER = np.arange(len(IMAGES))


def rows_of(level: str = "image", rule: Rule = Rule(), table: pd.DataFrame = TABLE, **columns) -> dict[str, dict]:
    subgroups = pd.DataFrame(columns, index=pd.Index(IMAGES["image_id"], name="image_id")).astype(str)
    found = subgroup_rows(table, subgroups, AnalysisLevels(level), rule, 100, 0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return {f"{row['column']}: {row['value']}": row for row in found}


def kinds(share: int = 3) -> np.ndarray:
    return np.where(POSITIVE, np.where(NUMBER % share == 0, "calcifications", "mass"), "")


def mean_auroc(table: pd.DataFrame) -> float:
    return float(np.mean([roc_auc_score(fold["label"], fold["score"]) for _, fold in table.groupby("fold")]))


def test_positives_of_a_kind_are_compared_with_all_negatives():
    rows = rows_of(kind=kinds())
    assert list(rows) == ["kind: calcifications", "kind: mass"]
    for name, row in rows.items():
        own = IMAGES.loc[kinds() == row["value"], "image_id"]
        part = TABLE[(TABLE["label"] == 0) | TABLE["image_id"].isin(own)]
        assert (row["of"], row["not_available"]) == ("positives", None), name
        assert row["positive_patients"] == part.loc[part["label"] == 1, "patient_id"].nunique()
        aurocs = [mean_auroc(part[part["test_ratio"] == ratio]) for ratio in (1.0, 50.0)]
        assert [result["auroc"]["value"] for result in row["results"]] == pytest.approx(aurocs)
        assert row["results"][0]["difference"] is None
        assert row["results"][1]["difference"]["value"] == pytest.approx(aurocs[1] - aurocs[0])
        assert row["results"][1]["difference"]["low"] < 0


def test_images_of_a_density_are_compared_with_negatives_of_their_own():
    density = np.where(NUMBER % 5 == 4, "", np.where(NUMBER % 5 < 2, "dense", "fatty"))
    rows = rows_of(density=density)
    assert list(rows) == ["density: dense", "density: fatty"]
    part = TABLE[TABLE["image_id"].isin(IMAGES.loc[density == "dense", "image_id"])]
    assert rows["density: dense"]["of"] == "images"
    assert rows["density: dense"]["patients"] == part["patient_id"].nunique()
    assert rows["density: dense"]["results"][1]["auroc"]["value"] == pytest.approx(
        mean_auroc(part[part["test_ratio"] == 50])
    )


def test_women_without_the_kind_are_no_negatives():
    """At the woman's level another woman's lesion must not become a normal breast."""
    row = rows_of("woman", kind=kinds())["kind: calcifications"]
    women = set(IMAGES.loc[kinds() == "calcifications", "patient_id"])
    ill = set(IMAGES.loc[POSITIVE, "patient_id"])
    pooled = TABLE.groupby(["fold", "patient_id", "test_ratio"], as_index=False).agg({"label": "max", "score": "max"})
    part = pooled[~pooled["patient_id"].isin(ill - women)]
    assert row["positive_patients"] == len(women)
    assert row["patients"] == part["patient_id"].nunique()
    assert row["results"][0]["auroc"]["value"] == pytest.approx(mean_auroc(part[part["test_ratio"] == 1]))


def test_below_the_floor_there_is_no_verdict():
    low, high = (
        rows_of(rule=Rule(0.2, min_positive_patients=floor), kind=kinds(9))["kind: mass"]["verdict"]
        for floor in (20, 2000)
    )
    assert (low["outcome"], low["ratio"]) == ("ratio", 50.0)
    assert (high["outcome"], high["ratio"]) == ("cannot tell", None)
    assert high["missing_positive_patients"] > 1800


def test_numbers_are_divided_into_thirds_of_the_positives():
    sizes = (
        5 + NUMBER / 10
    )  # rising with the number, so that the thirds are those of the positive images in their order
    rows = rows_of(size=np.where(POSITIVE, sizes.round(1).astype(str), ""))
    assert [row["value"][:2] for row in rows.values()] == ["1:", "2:", "3:"]
    thirds = np.array_split(IMAGES.loc[POSITIVE, "patient_id"].to_numpy(), 3)
    assert [row["positive_patients"] for row in rows.values()] == [len(set(third)) for third in thirds]
    assert list(rows_of(birads=np.where(POSITIVE, (NUMBER % 4).astype(str), ""))) == [f"birads: {n}" for n in range(4)]


def test_calcifications_need_fine_pixels():
    columns = {"kind": kinds(), "model_pixel_mm": "0.56"}
    rows = rows_of(**columns)
    assert list(rows) == ["kind: calcifications", "kind: mass"]
    calcifications = rows["kind: calcifications"]
    assert calcifications["cannot_be_judged"].startswith("cannot be judged at this input size: 0.56 mm a model pixel")
    assert calcifications["verdict"] is None
    assert rows["kind: mass"]["cannot_be_judged"] is None
    assert rows_of(**columns | {"model_pixel_mm": "0.1"})["kind: calcifications"]["cannot_be_judged"] is None
    assert rows_of(kind=kinds())["kind: calcifications"]["cannot_be_judged"] is None


def test_rare_subgroups_have_no_figures_and_empty_folds_are_left_out():
    first = IMAGES[POSITIVE].drop_duplicates("patient_id")
    one = IMAGES["image_id"].isin(first["image_id"][:1])
    in_a_fold = IMAGES["image_id"].isin(first.loc[first["fold"] == 0, "image_id"][:15])
    rows = rows_of(kind=np.where(one, "odd", np.where(in_a_fold, "few", "")))
    assert rows["kind: odd"]["results"] == []
    assert "fewer than two" in rows["kind: odd"]["not_available"]
    assert rows["kind: few"]["folds"] == 1
    assert len(rows["kind: few"]["results"]) == 2


def test_the_table_is_read_as_text_and_errors_say_what_to_do(tmp_path):
    path = tmp_path / "groups.csv"
    path.write_text("image_id,density\n007, NA \n008,\n")
    assert read_subgroups(path)["density"].to_dict() == {"007": "NA", "008": ""}
    path.write_text("image_id,density\n007,a\n007,b\n")
    with pytest.raises(StatisticsError, match="'007' is there twice"):
        read_subgroups(path)
    path.write_text("image,density\n007,a\n")
    with pytest.raises(StatisticsError, match="'image_id' is missing"):
        read_subgroups(path)
    with pytest.raises(PredictionsError, match="no such file"):
        read_subgroups(tmp_path / "none.csv")
    (row,) = rows_of(site=[f"site {number % 20}" for number in NUMBER]).values()
    assert (row["results"], row["not_available"]) == ([], "20 different values; put them into at most 12")
    with pytest.raises(StatisticsError, match="names no image"):
        rows_of(table=TABLE.assign(image_id=TABLE["image_id"] + "x"), kind=kinds())


def test_evaluate_brings_them_for_each_model():
    subgroups = pd.DataFrame({"kind": kinds()}, index=pd.Index(IMAGES["image_id"], name="image_id"))
    (model,) = evaluate(TABLE, resamples=100, subgroups=subgroups)["models"]
    assert model["subgroups"] == subgroup_rows(TABLE, subgroups, AnalysisLevels(), Rule(), 100, 0)
    assert evaluate(TABLE, resamples=100)["models"][0]["subgroups"] is None


def test_numbers_of_negatives_alone_have_no_thirds():
    rows = rows_of(thickness=np.where(POSITIVE, "", NUMBER.astype(str)))
    assert list(rows) == ["thickness: all"]
    assert rows["thickness: all"]["not_available"].startswith("no positive image has a number")


def test_a_woman_whose_lesion_is_in_other_images_is_no_negative():
    first = ~IMAGES["patient_id"].duplicated()
    images = IMAGES.assign(label=IMAGES["label"].where(first, 0))
    table = TABLE.assign(label=TABLE["image_id"].map(images.set_index("image_id")["label"]))
    moved = first & (np.arange(len(IMAGES)) % 3 == 0)
    rows = rows_of("woman", table=table, view=np.where(moved, "A", "B"))
    ill = set(images.loc[images["label"] == 1, "patient_id"])
    seen = images[~moved]
    positive = set(seen.loc[seen["label"] == 1, "patient_id"])
    assert ill & (set(seen["patient_id"]) - positive)
    assert rows["view: B"]["of"] == "images"
    assert rows["view: B"]["positive_patients"] == len(positive)
    assert rows["view: B"]["patients"] == len(positive | (set(seen["patient_id"]) - ill))
