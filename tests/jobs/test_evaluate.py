import json

import pytest
from prediction_tables import predictions_table, transfer_losses

from mammo_jax.jobs import evaluate, report
from mammo_jax.jobs.config import StudyConfig
from mammo_jax.jobs.study_run import as_json
from mammo_jax.statistics.predictions import write_predictions

LOSSES = transfer_losses({1.0: 0.0, 15.0: 0.05, 1000.0: 5.0})


@pytest.fixture
def table():
    return predictions_table(LOSSES, folds=1)


def test_a_foreign_model_from_csv_to_report(table, tmp_path, capsys):
    table.to_csv(tmp_path / "mine.csv", index=False)
    out = tmp_path / "out"
    given = ["--predictions", str(tmp_path / "mine.csv"), "--out", str(out), "--frozen", "--resamples", "200"]
    evaluate.main([*given, "--target", "recalled"])
    printed = capsys.readouterr().out
    assert "Up to a compression ratio of 15" in printed
    assert f"report: {out / 'report.html'}" in printed
    assert "Demonstration" not in printed
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["command"].startswith("mammo-jax evaluate --predictions")
    assert "recalled" in (out / "report.html").read_text()
    before = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    report.main(["--run", str(out)])
    assert (out / "report.html").read_bytes() == before


def test_a_foreign_model_is_judged_at_every_level(table, tmp_path, capsys):
    table.assign(breast=["L", "R"] * (len(table) // 2)).to_csv(tmp_path / "mine.csv", index=False)
    given = ["--predictions", str(tmp_path / "mine.csv"), "--out", str(tmp_path / "out"), "--frozen"]
    evaluate.main([*given, "--resamples", "200"])
    printed = capsys.readouterr().out
    assert "its AUROC per woman within" in printed
    names = ["per image", "per breast (maximum)", "per breast (mean)", "* per woman (maximum)", "per woman (mean)"]
    lines = [" ".join(line.split()) for line in printed.splitlines() if "AUROC 0" in line]
    assert [line[: len(name)] for line, name in zip(lines, names, strict=True)] == names
    assert all("at CR 1, up to CR 15" in line for line in lines)
    evaluate.main([*given, "--resamples", "200", "--analysis-level", "breast", "--level-score", "mean"])
    assert "its AUROC per breast within" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["analysis_levels"] == {"primary": "breast", "pooling": "mean", "scored": "image", "noun": "breast"}


def test_one_seed_of_a_model_that_can_be_trained_again_is_a_demonstration(table, tmp_path, capsys):
    write_predictions(tmp_path / "mine.parquet", table)
    evaluate.main(["--predictions", str(tmp_path / "mine.parquet"), "--out", str(tmp_path), "--resamples", "200"])
    assert capsys.readouterr().out.startswith("Demonstration (one training seed). Up to a compression ratio of 15")


def test_csv_and_parquet_give_the_same_figures(table, tmp_path):
    table.to_csv(tmp_path / "mine.csv", index=False)
    write_predictions(tmp_path / "mine.parquet", table)
    figures = []
    for name in ("mine.csv", "mine.parquet"):
        config = evaluate.EvaluateConfig(tmp_path / name, tmp_path / f"out {name}", resamples=200)
        metrics = evaluate.evaluate_predictions(config, "test")
        figures.append({key: value for key, value in metrics.items() if key != "predictions_sha256"})
    assert figures[0] == figures[1]


def test_a_run_is_not_overwritten_with_other_predictions(table, tmp_path):
    write_predictions(tmp_path / "run" / "predictions.parquet", table)
    table.to_csv(tmp_path / "mine.csv", index=False)
    given = ["--predictions", str(tmp_path / "mine.csv"), "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit, match="own predictions; choose another folder"):
        evaluate.main(given)
    (tmp_path / "run" / "predictions.parquet").unlink()
    (tmp_path / "run" / "config.json").write_text("{}")  # a study that is not trained yet
    with pytest.raises(SystemExit, match="own predictions; choose another folder"):
        evaluate.main(given)
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_the_threshold_is_given_or_from_validation_patients(table, tmp_path, capsys):
    """A study that is evaluated again takes the validation scores that lie beside its predictions."""
    table.loc[table["test_ratio"] == 15, "score"] -= 0.6
    write_predictions(tmp_path / "predictions.parquet", table)
    given = ["--predictions", str(tmp_path / "predictions.parquet"), "--out", str(tmp_path), "--resamples", "200"]
    evaluate.main([*given, "--frozen", "--threshold", "1.0", "--prevalence", "0.006"])
    assert "CR 15 would pass by AUROC, but at the threshold 1, sensitivity falls by" in capsys.readouterr().out
    assert "recalls per 1000" in (tmp_path / "report.html").read_text()
    others = table[table["test_ratio"] == 1].replace({"patient_id": r"^", "image_id": r"^"}, "other ", regex=True)
    write_predictions(tmp_path / "validation.parquet", others, validation=True)
    write_predictions(tmp_path / "elsewhere.parquet", others.assign(score=others["score"] - 5), validation=True)
    sources = []
    elsewhere = ["--validation", str(tmp_path / "elsewhere.parquet")]
    with pytest.raises(SystemExit, match=r"which has validation\.parquet; leave --validation out"):
        evaluate.main([*given, *elsewhere])
    for out, flags in ((tmp_path, []), (tmp_path / "out", elsewhere)):
        evaluate.main([*given, *flags, "--out", str(out)])
        operating = json.loads((out / "metrics.json").read_text())["models"][0]["operating_point"]
        sources.append((operating["threshold_from"], operating["thresholds"][0][0]))
    assert [source for source, _ in sources] == ["validation patients"] * 2
    assert sources[1][1] == pytest.approx(sources[0][1] - 5)
    with pytest.raises(SystemExit, match=r"prevalence: 6\.0 is not between 0 and 1"):
        evaluate.main([*given, "--prevalence", "6"])


def test_a_study_is_evaluated_again_by_its_own_settings(table, tmp_path):
    settings = as_json(StudyConfig(out=tmp_path, margin=0.11, analysis_level="image", resamples=150))
    (tmp_path / "config.json").write_text(json.dumps({"config": settings}))
    write_predictions(tmp_path / "predictions.parquet", table)
    given = ["--predictions", str(tmp_path / "predictions.parquet"), "--out", str(tmp_path)]
    for flags, alpha in (([], 0.025), (["--alpha", "0.05"], 0.05)):
        evaluate.main([*given, *flags])
        metrics = json.loads((tmp_path / "metrics.json").read_text())
        assert (metrics["margin"], metrics["resamples"], metrics["alpha"]) == (0.11, 150, alpha)
        assert metrics["analysis_levels"]["primary"] == "image"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(lambda t: t.drop(columns="score"), "score"), (lambda t: t.iloc[1:], "1 images missing")],
)
def test_bad_tables_are_one_clear_line(table, tmp_path, spoil, message):
    spoil(table).to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(SystemExit, match=message):
        evaluate.main(["--predictions", str(tmp_path / "mine.csv"), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_folder_without_metrics_says_what_makes_them(tmp_path):
    with pytest.raises(SystemExit, match="mammo-jax evaluate"):
        report.main(["--run", str(tmp_path)])


def test_subgroups_come_from_a_table_into_the_report(table, tmp_path):
    table.to_csv(tmp_path / "mine.csv", index=False)
    images = table.drop_duplicates("image_id")
    density = ["dense", "fatty"] * (len(images) // 2)
    images.assign(density=density)[["image_id", "density"]].to_csv(tmp_path / "groups.csv", index=False)
    given = ["--predictions", str(tmp_path / "mine.csv"), "--out", str(tmp_path / "out"), "--frozen"]
    evaluate.main([*given, "--resamples", "100", "--subgroups", str(tmp_path / "groups.csv")])
    (model,) = json.loads((tmp_path / "out" / "metrics.json").read_text())["models"]
    assert [(row["column"], row["value"], row["of"]) for row in model["subgroups"]] == [
        ("density", "dense", "images"),
        ("density", "fatty", "images"),
    ]
    assert "density: dense" in (tmp_path / "out" / "report.html").read_text()
