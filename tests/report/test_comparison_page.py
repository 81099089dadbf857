"""Several studies in one page."""

import json
import shutil

import pytest
from html_page import Page
from prediction_tables import predictions_table
from synthetic_run import audit

from mammo_jax.files import sha256_file
from mammo_jax.jobs.compare import main
from mammo_jax.report import ReportError
from mammo_jax.report.comparison import build_comparison
from mammo_jax.statistics.evaluation import evaluate
from mammo_jax.statistics.predictions import write_predictions


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, loss in (("ours", 0.2), ("theirs", 0.6)):
        run = folder / name
        run.mkdir()
        table = predictions_table({("1", 1.0): 0.0, ("1", 15.0): loss}, patients=120, folds=2)
        write_predictions(run / "predictions.parquet", table)
        found = evaluate(table, resamples=100) | {"predictions_sha256": sha256_file(run / "predictions.parquet")}
        (run / "metrics.json").write_text(json.dumps(found))
    audit().to_csv(folder / "ours" / "audit.csv", index=False)
    return folder


def test_verdicts_curves_and_differences_are_in_one_page(runs, tmp_path, capsys):
    out = tmp_path / "both.html"
    main([str(runs / "ours"), str(runs / "theirs"), "--out", str(out)])
    assert f"comparison: {out}" in capsys.readouterr().out
    page = Page(out.read_text())
    for name in ("ours", "theirs"):
        sentence = json.loads((runs / name / "metrics.json").read_text())["sentence"]
        assert f"{name}: " in page.text
        assert sentence in page.text
    assert "codec a codec" in page.text
    drawn = [svg["aria-label"] for svg in page.attributes("svg") if svg.get("role") == "img"]
    assert [text.split(" against")[0] for text in drawn] == ["AUROC", "PSNR in dB", "SSIM"]
    assert "Ours: " in drawn[0]
    assert "Theirs: " in drawn[0]
    table = page.text[page.text.index("theirs less ours, paired") :]
    assert "1 0.9" in table
    assert "0.000 (0.000 to 0.000) –" in table
    assert "Not paired" not in page.text


def test_images_that_are_equal_have_no_place_on_the_scale_of_psnr(runs, tmp_path):
    other = shutil.copytree(runs / "theirs", tmp_path / "theirs")
    table = audit()
    table.loc[table["ratio"] == table["ratio"].min(), ["psnr", "psnr_breast"]] = float("inf")
    table.to_csv(other / "audit.csv", index=False)
    page = Page(build_comparison([other, runs / "ours"], tmp_path / "page.html").read_text())
    (psnr,) = [svg["aria-label"] for svg in page.attributes("svg") if svg.get("aria-label", "").startswith("PSNR")]
    theirs, ours = (part for part in psnr.split(". ") if part.startswith(("Theirs", "Ours")))
    assert theirs.count(" at ") == ours.count(" at ") - 1
    assert "inf" not in psnr


def test_what_is_not_paired_is_said(runs, tmp_path):
    other = shutil.copytree(runs / "theirs", tmp_path / "theirs")
    out = tmp_path / "page.html"
    (other / "predictions.parquet").unlink()
    build_comparison([runs / "ours", other], out)
    assert (
        "Not paired. Theirs has no predictions.parquet, since its scores came from outside."
        in Page(out.read_text()).text
    )
    table = predictions_table({("1", 1.0): 0.0, ("1", 15.0): 0.1}, patients=120, folds=2)
    write_predictions(other / "predictions.parquet", table)
    build_comparison([runs / "ours", other], out)
    assert "The predictions of theirs have changed since its evaluation" in Page(out.read_text()).text
    metrics = json.loads((other / "metrics.json").read_text())
    metrics["analysis_levels"]["primary"] = "woman"
    (other / "metrics.json").write_text(json.dumps(metrics))
    build_comparison([runs / "ours", other], out)
    assert "Their verdicts count other things" in Page(out.read_text()).text


def test_studies_of_one_name_are_told_apart(runs, tmp_path):
    other = shutil.copytree(runs / "ours", tmp_path / "ours")
    text = Page(build_comparison([runs / "ours", other], tmp_path / "page.html").read_text()).text
    assert "ours (1): " in text
    assert "ours (2): " in text


@pytest.mark.parametrize(("names", "message"), [(["ours"], "takes 2 to 6 run folders"), (["ours"] * 2, "given twice")])
def test_bad_requests_are_refused(runs, tmp_path, names, message):
    with pytest.raises(ReportError, match=message):
        build_comparison([runs / name for name in names], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_folder_without_metrics_is_named(runs, tmp_path):
    with pytest.raises(SystemExit, match=r"error: .*missing/metrics.json: no such file; mammo-jax study"):
        main([str(runs / "ours"), str(tmp_path / "missing"), "--out", str(tmp_path / "page.html")])
