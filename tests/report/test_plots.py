"""AUROC, AUPRC, ROC and quality figures, and the scale of compression ratios."""

import csv
import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from prediction_tables import predictions_table

from mammo_jax.ratios import LADDER
from mammo_jax.report.drawing import Label, Line, Marker, dashes, svg
from mammo_jax.report.drawing_png import png
from mammo_jax.report.plots import curves, performance_figure, quality_figures, roc_figure
from mammo_jax.report.published import RECOMMENDATIONS, cnn_mean
from mammo_jax.report.ratio_chart import (
    FIRST_RATIO,
    LABEL_GAP,
    LAST_RATIO,
    MIN_GAP,
    UNCOMPRESSED,
    Curve,
    Point,
    RatioScale,
    Verdict,
    ratio_chart,
    ticks,
)
from mammo_jax.statistics.evaluation import evaluate

LOSSES = {("1", 1.0): 0.0, ("1", 15.0): 0.1, ("1", 1000.0): 1.0, ("15", 15.0): 0.1, ("mixed", 15.0): 0.2}


@pytest.fixture(scope="module")
def model() -> dict:
    return evaluate(predictions_table(LOSSES), resamples=100)["models"][0]


def test_curves_are_the_results(model):
    by_label = {curve.label.split(":")[0]: curve for curve in curves(model, "auprc")}
    ratios = {label: [point.ratio for point in curve.points] for label, curve in by_label.items()}
    assert ratios == {"transfer": [1.0, 15.0, 1000.0], "matched": [1.0, 15.0], "mixed": [15.0]}
    by_cell = {(result["train_ratio"], result["test_ratio"]): result["auprc"] for result in model["results"]}
    for point in by_label["transfer"].points:
        expected = by_cell["1", point.ratio]
        assert (point.value, point.low, point.high) == tuple(expected[key] for key in ("corrected", "low", "high"))


def test_without_an_interval_the_mean_is_drawn(model):
    results = [
        result | {"auprc": result["auprc"] | {"low": None, "high": None, "no_interval": "few"}}
        for result in model["results"]
    ]
    (curve,) = [curve for curve in curves({"results": results}, "auprc") if curve.label.startswith("transfer")]
    assert curve.points[-1] == Point(1000.0, results[-1 if results[-1]["transfer"] else 2]["auprc"]["mean"])
    figure = performance_figure(model | {"results": results}, "auprc", "image")
    assert figure.rows[0][4:] == [None, None]
    assert figure.caption == "AUPRC per image. Bars: 95 % intervals."


def test_matched_is_no_curve_with_only_the_uncompressed_point(model):
    frozen = {"results": [result for result in model["results"] if result["train_ratio"] == "1"]}
    assert [curve.label for curve in curves(frozen, "auroc", frozen=True)] == ["the frozen model"]


def test_the_verdict_is_marked_and_named(model):
    verdict = model["verdicts"]["transfer"] | {"outcome": "ratio", "ratio": 15.0, "first_failed": 1000.0}
    judged = model | {"verdicts": model["verdicts"] | {"transfer": verdict}}
    drawing = performance_figure(judged, "auroc", "image").drawing
    labels = {item.text: item for item in drawing.items if isinstance(item, Label)}
    assert {"passed: CR 15", "break: CR 1000"} <= set(labels)
    scale = RatioScale.of([1.0, 15.0, 1000.0])
    (line,) = [item for item in drawing.items if isinstance(item, Line) and item.colour == "broken"]
    assert line.points[0][0] == line.points[1][0] == scale(1000.0)
    assert "Up to CR 15 the ratios passed. The break is at CR 1000." in drawing.description
    cannot = verdict | {"outcome": "cannot tell"}
    drawing = performance_figure(model | {"verdicts": {"transfer": cannot}}, "auroc", "image").drawing
    assert not any(isinstance(item, Label) and "CR" in item.text for item in drawing.items)


def test_every_point_is_drawn_at_its_value_and_says_it(model):
    figure = performance_figure(model, "auroc", "image")
    low = {item.text: item.at[1] for item in figure.drawing.items if isinstance(item, Label)}
    tips = {item.tip: item.at for item in figure.drawing.items if isinstance(item, Marker)}
    (point,) = [r["auroc"] for r in model["results"] if (r["train_ratio"], r["test_ratio"]) == ("1", 1000.0)]
    tip = f"transfer: trained uncompressed, CR 1000: {point['mean']:.3f} ({point['low']:.3f} to {point['high']:.3f})"
    per_unit = (low["0.8"] - low["0.9"]) / 0.1
    assert tips[tip][1] == pytest.approx(low["0.9"] - 4.5 + (0.9 - point["mean"]) * per_unit, abs=0.01)


def test_others_are_in_layers_with_their_sources(model):
    drawing = performance_figure(model, "auroc", "image").drawing
    layers = {item.layer for item in drawing.items}
    assert layers == {"", "matched", "mixed", "published", "recommendations"}
    tips = [item.tip for item in drawing.items if item.layer == "recommendations" and item.tip]
    assert tips == [entry.text for entry in RECOMMENDATIONS]
    assert all("Jo et al." in tip or "Clinical Radiology" in tip for tip in tips)
    groups = [
        group.get("data-layer") for group in ElementTree.fromstring(svg(drawing)).iter() if "data-layer" in group.attrib
    ]
    assert set(groups) == layers - {""}


def test_ratios_next_to_each_other_are_apart_and_in_order():
    scale = RatioScale.of([1.0, *LADDER])
    assert scale(1.0) == UNCOMPRESSED
    assert scale(15.0) == FIRST_RATIO
    assert scale(11000.0) == pytest.approx(LAST_RATIO)
    assert np.diff(scale.positions).min() >= MIN_GAP - 1e-9
    between = [scale(ratio) for ratio in (15, 16, 20, 60, 100, 300, 500, 10500)]
    assert between == sorted(between)
    assert scale(50) < scale(60) < scale(100)


def test_many_ratios_do_not_write_over_each_other():
    points = tuple(Point(ratio, 0.8) for ratio in np.geomspace(2, 20000, 40))
    verdict = Verdict(points[20].ratio, points[21].ratio)
    drawing = ratio_chart([Curve("a", points, "blue")], title="", description="", limits=(0, 1), verdict=verdict)
    bottom = [item for item in drawing.items if isinstance(item, Label) and item.at[1] == 362 + 19]
    places = sorted(item.at[0] for item in bottom if not item.bold)
    assert len(places) > 5
    assert np.diff(places).min() >= LABEL_GAP
    assert sum(item.bold for item in bottom) == 2


def test_ticks_are_round_and_inside():
    assert ticks(0.45, 1.0) == [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert ticks(0, 60) == [0, 10, 20, 30, 40, 50, 60]


def test_roc_curves_come_from_the_metrics(model):
    figure = roc_figure(model)
    assert [key.label.split(" (")[0] for key in figure.keys] == ["uncompressed", "CR 15", "CR 1000"]
    assert len(figure.rows) == 3 * 52
    assert roc_figure({key: value for key, value in model.items() if key != "roc"}) is None


def test_rendered_files_have_their_format_and_are_reproducible(model):
    figure = performance_figure(model, "auroc", "image")
    text = svg(figure.drawing)
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert text == svg(performance_figure(model, "auroc", "image").drawing)
    assert png(figure.drawing).startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO(figure.csv)))
    assert len(rows) == len(figure.rows) == 6
    assert float(rows[0]["value"]) == figure.rows[0][3]


def test_a_dash_is_cut_around_corners():
    pieces = list(dashes([(0, 0), (10, 0), (10, 10)], (6, 2)))
    drawn = sum(abs(x1 - x0) + abs(y1 - y0) for (x0, y0), (x1, y1) in pieces)
    assert drawn == pytest.approx(6 + 2 + 4 + 4)
    assert pieces[:3] == [((0, 0), (6, 0)), ((8, 0), (10, 0)), ((10, 0), (10, 4))]


def test_published_means_are_only_given_for_the_papers_ratios():
    means = [cnn_mean("auroc", ratio) for ratio in (1, 15, 5000, 10000, 11000, 30)]
    assert means == [None, 0.87, 0.87, 0.79, 0.79, None]
    assert [cnn_mean("auprc", ratio) for ratio in (5000, 11000)] == [0.75, 0.49]


def test_images_that_are_equal_have_no_place_on_the_scale_of_psnr():
    columns = ("psnr", "psnr_breast", "ssim", "ssim_breast")

    def row(ratio, psnr, high):
        spread = {"psnr": [psnr, high], "psnr_breast": [psnr, psnr], "ssim": [0.9, 1.0], "ssim_breast": [0.9, 1.0]}
        return {"ratio": ratio, "spread": spread} | dict(zip(columns, (psnr, psnr, 0.95, 0.95)))

    infinite = float("inf")
    psnr, ssim = quality_figures([row(2.0, infinite, infinite), row(15.0, 60.0, infinite), row(50.0, 50.0, 52.0)])
    assert {line[2] for line in psnr.rows} == {15.0, 50.0}
    assert {line[2] for line in ssim.rows} == {2.0, 15.0, 50.0}
    assert "nan" not in svg(psnr.drawing).lower()
    assert [figure.title for figure in quality_figures([row(2.0, infinite, infinite)])] == [ssim.title]
