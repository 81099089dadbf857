"""The report's section on model observers, from a synthetic summary."""

import json

import pytest
from html_page import Page
from synthetic_observers import write_observers
from synthetic_run import LOSSES, write_run

from mammo_jax.report import ReportError, build_report
from mammo_jax.report.observer_plots import curves, observer_figure
from mammo_jax.run_folder import RunFolder

TITLE = "Is a loss in the images, or in the network?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("report") / "run")


def built(folder, **summary) -> str:
    write_observers(folder, **summary)
    return Page(build_report(RunFolder(folder)).read_text(encoding="utf-8")).text


def test_without_observers_there_is_no_section(page):
    assert TITLE not in page.text


def test_the_section_has_the_figure_and_the_folded_table(folder):
    text = built(folder)
    assert TITLE in text
    assert "A shortcut." not in text
    assert "The blind observer is not at chance." not in text
    assert "a linear score of 640 patches (122 positive, of 61 patients)" in text
    table = text[text.index("AUROC per patch, with 95") :]
    for name in (
        "network, transfer",
        "observer, matched, fewer pixels",
        "PSNR of the image",
        "all statistics together",
    ):
        assert f"{name} 0." in table
    assert "+0.10 (+0.05 to +0.15)" in table
    html = RunFolder(folder).report.read_text(encoding="utf-8")
    assert html.index(TITLE) < html.index("<details>", html.index(TITLE)) < html.index("AUROC per patch, with 95")
    for kind in ("svg", "png"):
        assert RunFolder(folder).figure("observer", kind).stat().st_size > 10_000


def test_a_shortcut_and_a_blind_observer_that_sees_are_named(folder):
    text = built(folder, shortcut=True, blind_at_chance=False)
    named = "PSNR of the image alone, without a look at the lesion, reaches an AUROC of 0.71 (0.67–0.75) at CR 100, and"
    assert named in text
    assert "more than 0.6 at 3 of 11 ratios" in text
    assert "The blind observer is not at chance." in text


def test_the_figure_has_a_curve_for_each_arm_and_one_less_before_training(folder):
    summary = write_observers(folder)
    figure = observer_figure(summary)
    assert len(figure.keys) == len(curves(summary)) == 6
    assert len(figure.rows) == sum(len(curve.points) for curve in curves(summary))
    untrained = write_observers(folder, network=False)
    assert len(observer_figure(untrained).keys) == 5
    words = figure.drawing.description
    assert "Network, transfer: 0.87 at 1, " in words
    assert words.count(" at 11000") == 6
    assert len(LOSSES) == words.count(",", words.index("Observer, transfer"), words.index("Observer, matched"))


def test_a_damaged_summary_and_another_version_are_named(folder):
    path = RunFolder(folder).observer_summary
    write_observers(folder)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": "another"}))
    with pytest.raises(ReportError, match=r"summary\.json: field schema is not .* run mammo-jax observer again"):
        build_report(RunFolder(folder))
    path.write_text("{")
    with pytest.raises(ReportError, match=r"summary\.json: not readable JSON .* run mammo-jax observer"):
        build_report(RunFolder(folder))
