"""`mammo-jax evaluate --marks --lesions`: from the tables to the report."""

import json

import pytest
from prediction_tables import predictions_table, transfer_losses

from mammo_jax.jobs import evaluate


@pytest.fixture
def given(tmp_path):
    table = predictions_table(transfer_losses({1.0: 0.0, 15.0: 1.0}), folds=1)
    table.to_csv(tmp_path / "mine.csv", index=False)
    lesions = table[table["label"] == 1].drop_duplicates("image_id")[["image_id"]]
    lesions.assign(row=40, column=60, radius=10).to_csv(tmp_path / "lesions.csv", index=False)
    marks = table[["test_ratio", "image_id"]].assign(row=41, column=62, rating=table["score"])
    marks.to_csv(tmp_path / "marks.csv", index=False)
    names = ("predictions", "mine.csv"), ("out", "out"), ("marks", "marks.csv"), ("lesions", "lesions.csv")
    return [part for name, file in names for part in (f"--{name}", str(tmp_path / file))] + ["--frozen"]


def test_marks_give_a_section_of_the_report(given, tmp_path):
    evaluate.main([*given, "--resamples", "200", "--analysis-level", "image"])
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    results = metrics["localisation"]["results"]
    assert results[0]["wafroc"]["value"] == pytest.approx(metrics["models"][0]["results"][0]["auroc"]["mean"])
    assert results[1]["change"]["value"] < 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Are the lesions found? wAFROC of cnn" in page
    assert f"{results[1]['wafroc']['value']:.3f} <span" in page


def test_one_without_the_other_is_refused(given, tmp_path):
    with pytest.raises(SystemExit, match="give both --marks and --lesions"):
        evaluate.main([*given[:6], "--frozen"])
    assert not (tmp_path / "out" / "metrics.json").exists()
