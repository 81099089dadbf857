import json

from html_page import Page

from mammo_jax.report import build_report
from mammo_jax.run_folder import RunFolder


def test_the_table_has_every_ratio_and_both_kinds(run, page):
    (model,) = json.loads((run / "metrics.json").read_text())["models"]
    section = page.text[page.text.index("Calibration: do the scores, as probabilities") :]
    assert "The scores are taken as logits. If they are neither probabilities nor logits" in section
    assert "other patients of the fold, uncompressed" in section
    assert len(model["calibration"]["results"]) > 3
    for row in model["calibration"]["results"]:
        for figures in (row["raw"], row["recalibrated"]):
            text = " ".join("{value:.3f} ({low:.3f} to {high:.3f})".format(**figures[name]) for name in figures)
            text = text.replace("-", "\u2212")
            assert text in section


def test_what_is_missing_is_not_shown(run, tmp_path):
    metrics = json.loads((run / "metrics.json").read_text())
    (model,) = metrics["models"]
    for row in model["calibration"]["results"]:
        row["raw"]["slope"] = row["recalibrated"] = None
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    text = Page(build_report(RunFolder(tmp_path)).read_text()).text
    text = text[text.index("Calibration: do the scores") :]
    assert text.count("not available") == len(model["calibration"]["results"]) + 1
    model.pop("calibration")
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert "Calibration" not in Page(build_report(RunFolder(tmp_path)).read_text()).text
