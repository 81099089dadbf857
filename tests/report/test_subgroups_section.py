import json

from html_page import Page

from mammo_jax.report import build_report
from mammo_jax.run_folder import RunFolder


def figures(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def row(name: str, **changes) -> dict:
    results = [
        {"test_ratio": 1.0, "auroc": figures(0.9), "difference": None},
        {"test_ratio": 50.0, "auroc": figures(0.85), "difference": figures(-0.05)},
    ]
    verdict = {"outcome": "ratio", "ratio": 50.0, "missing_positive_patients": 0}
    filled = {"column": "kind", "value": name, "of": "positives", "positive_patients": 80, "patients": 200, "folds": 1}
    return filled | {"results": results, "verdict": verdict, "not_available": None, "cannot_be_judged": None} | changes


def test_each_subgroup_says_what_may_be_said_of_it(run, tmp_path):
    metrics = json.loads((run / "metrics.json").read_text())
    few = {"outcome": "cannot tell", "ratio": None, "missing_positive_patients": 40}
    metrics["models"][0]["subgroups"] = [
        row("rare", results=[], verdict=None, not_available="fewer than two"),
        row("mass"),
        row("asymmetry", verdict=few),
        row("calcifications", verdict=None, cannot_be_judged="cannot be judged at this input size"),
    ]
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    text = Page(build_report(RunFolder(tmp_path)).read_text()).text
    text = text[text.index("Subgroups: does compression") :]
    shown = "0.900 (0.800–1.000) −0.050 (−0.150 to +0.050)"
    assert "verdict, exploratory AUROC at CR 1 change at CR 50" in text
    assert "kind: rare, positives 80 200 not available: fewer than two kind: mass" in text
    assert f"kind: mass, positives 80 200 up to CR 50 {shown}" in text
    assert (
        f"asymmetry, positives 80 200 too few patients for a verdict: 40 more positive ones are needed {shown}" in text
    )
    assert f"calcifications, positives 80 200 cannot be judged at this input size {shown}" in text
    assert "some look better or worse by chance alone" in text


def test_without_them_there_is_no_section(page):
    assert "Subgroups" not in page.text
