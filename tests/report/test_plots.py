import xml.etree.ElementTree as ElementTree

import pytest
from prediction_tables import predictions_table

from mammo_jax.report.plots import curves, describe_figure, figure_bytes, performance_figure
from mammo_jax.report.published import cnn_mean
from mammo_jax.statistics.evaluation import evaluate

LOSSES = {("1", 1.0): 0.0, ("1", 15.0): 0.1, ("1", 1000.0): 1.0, ("15", 15.0): 0.1, ("mixed", 15.0): 0.2}


@pytest.fixture(scope="module")
def model() -> dict:
    return evaluate(predictions_table(LOSSES), resamples=100)["models"][0]


def test_curves_are_the_results(model):
    by_kind = {curve.kind: curve for curve in curves(model["results"], "auprc")}
    assert {kind: curve.ratios for kind, curve in by_kind.items()} == {
        "transfer": (1.0, 15.0, 1000.0),
        "matched": (1.0, 15.0),
        "mixed": (15.0,),
    }
    by_cell = {(result["train_ratio"], result["test_ratio"]): result["auprc"] for result in model["results"]}
    for ratio, mean, low, high in zip(*(getattr(by_kind["transfer"], k) for k in ("ratios", "means", "lows", "highs"))):
        assert (mean, low, high) == tuple(by_cell["1", ratio][key] for key in ("corrected", "low", "high"))


def test_without_an_interval_the_mean_is_drawn(model):
    few = evaluate(predictions_table(LOSSES, patients=40, folds=1), resamples=100)["models"][0]
    (result,) = [r for r in few["results"] if (r["train_ratio"], r["test_ratio"]) == ("1", 1000.0)]
    assert result["auprc"]["low"] is None
    (curve,) = [curve for curve in curves(few["results"], "auprc") if curve.kind == "transfer"]
    assert curve.means[-1] == result["auprc"]["mean"]
    assert (str(curve.lows[-1]), str(curve.highs[-1])) == ("nan", "nan")
    (axes,) = performance_figure(few, "auprc").axes
    assert axes.containers[0][0].get_ydata()[-1] == result["auprc"]["mean"]


def test_matched_is_no_curve_with_only_the_uncompressed_point(model):
    frozen = [result for result in model["results"] if result["train_ratio"] == "1"]
    assert [curve.kind for curve in curves(frozen, "auroc")] == ["transfer"]


@pytest.mark.parametrize("metric", ["auroc", "auprc"])
def test_figure_draws_every_point_at_its_position(model, metric):
    (axes,) = performance_figure(model, metric).axes
    assert axes.get_xscale() == "log"
    drawn = {container.get_label(): container for container in axes.containers}
    for curve in curves(model["results"], metric):
        (container,) = [c for label, c in drawn.items() if label.startswith(curve.kind)]
        line, _, (bars,) = container
        assert line.get_xdata() == pytest.approx(curve.ratios, rel=0.06)
        assert line.get_ydata() == pytest.approx(curve.means)
        for segment, low, high in zip(bars.get_segments(), curve.lows, curve.highs):
            assert segment[:, 1] == pytest.approx([low, high])
        bottom, top = axes.get_ylim()
        assert bottom <= min(curve.lows)
        assert max(curve.highs) <= top
    labels = [line.get_label() for line in axes.get_lines()]
    assert any("margin of 0.05" in label for label in labels) == (metric == "auroc")


def test_margin_line_lies_a_margin_below_the_uncompressed_model(model):
    (axes,) = performance_figure(model, "auroc").axes
    (line,) = [line for line in axes.get_lines() if "margin" in line.get_label()]
    assert line.get_ydata()[0] == pytest.approx(model["verdicts"]["transfer"]["auroc_uncompressed"]["value"] - 0.05)


def test_rendered_files_have_their_format_and_are_reproducible(model):
    for metric in ("auroc", "auprc"):
        svg = figure_bytes(performance_figure(model, metric), "svg")
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert svg == figure_bytes(performance_figure(model, metric), "svg")
        assert figure_bytes(performance_figure(model, metric), "png").startswith(b"\x89PNG")


def test_description_gives_the_numbers(model):
    text = describe_figure(model, "auroc")
    (point,) = [r for r in model["results"] if (r["train_ratio"], r["test_ratio"]) == ("1", 1000.0)]
    assert f"{point['auroc']['mean']:.2f} at 1000" in text


def test_published_means_are_only_given_for_the_papers_ratios():
    assert [cnn_mean("auroc", ratio) for ratio in (1, 15, 5000, 10000, 11000, 30)] == [
        None,
        0.87,
        0.87,
        0.79,
        0.79,
        None,
    ]
    assert [cnn_mean("auprc", ratio) for ratio in (5000, 11000)] == [0.75, 0.49]


def test_an_interval_that_does_not_include_its_mean_is_drawn(model):
    results = [
        {**result, "auroc": {**result["auroc"], "low": result["auroc"]["mean"] + 0.01}} for result in model["results"]
    ]
    (axes,) = performance_figure({**model, "results": results}, "auroc").axes
    assert axes.containers
