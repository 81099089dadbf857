"""The report in a real browser: drawn at three widths in both schemes, operated, printed; one start for all."""

import io
import re
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, browser
from PIL import Image
from synthetic_saliency import write_saliency

from mammo_jax.ratios import LADDER
from mammo_jax.report import build_report
from mammo_jax.run_folder import RunFolder

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
READY = "document.querySelector('#look[data-ready]')"


@pytest.fixture(scope="module")
def report(run, tmp_path_factory) -> Path:
    folder = shutil.copytree(run, tmp_path_factory.mktemp("browser") / "run")
    write_saliency(folder)
    return build_report(RunFolder(folder))


@pytest.fixture(scope="module")
def tab(report, tmp_path_factory):
    """The page, opened once for all tests."""
    with browser(tmp_path_factory.mktemp("profile")) as started:
        started.show(1280)
        started.open(report)
        started.wait_for(READY)
        yield started
        assert started.complaints() == [], "no console line, no exception and no request in all that was done"


def test_it_is_drawn_whole_and_in_its_scheme_at_three_widths(tab):
    beyond = """[...document.querySelectorAll('body *')].filter((e) => !e.closest('.scroll, .stage, svg, select')
        && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))"""
    light = ((0xFF, 0xFF, 0xFF), (0x00, 0x72, 0xB2), (0xC7, 0x53, 0x00))
    dark = ((0x15, 0x18, 0x1C), (0x5D, 0xB6, 0xEE), (0xF5, 0x9A, 0x54))
    for width, colours in product((1280, 768, 390), (light, dark)):
        tab.show(width, dark=colours is dark)
        assert tab.evaluate("document.documentElement.scrollWidth") == width, "nothing makes the page wider"
        assert tab.evaluate(beyond) == []
        tab.evaluate("document.querySelector('#figure-auroc').scrollIntoView()")
        pixels = np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("RGB")).reshape(-1, 3).astype(int)
        paper, *inks = colours
        assert (pixels == paper).all(axis=1).mean() > 0.5
        for colour in inks:
            assert (np.abs(pixels - colour).max(axis=1) <= 3).sum() > 30
    tab.show(1280)


def test_figures_say_their_values_hide_layers_and_become_files(tab, report):
    said = "document.querySelector('#figure-auroc .tip').textContent"
    tab.evaluate("document.querySelector('#figure-auroc .drawing').focus()")
    texts = set()
    for _ in range(40):
        tab.key("ArrowRight")
        texts.add(tab.evaluate(said))
    assert any(re.fullmatch(r"transfer.*, CR 500: 0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", text) for text in texts)
    assert any("German Röntgen Society" in text for text in texts)
    assert not any("ResNet18" in text for text in texts), "a hidden layer says nothing"
    layer = "[...document.querySelectorAll('#figure-auroc [data-layer=published]')]"
    count = f"{layer}.filter((found) => found.getClientRects().length).length"
    assert tab.evaluate(count) == 0
    tab.evaluate("document.querySelector('#figure-auroc [data-shows=published]').click()")
    assert tab.evaluate(count) > 0
    text = tab.evaluate("svgText(document.querySelector('#figure-auroc'))")
    assert 'xmlns="http://www.w3.org/2000/svg"' in text
    assert "Jo et al" in text or 'data-layer="published"' in text
    tab.evaluate("window.saved = []; save = (...file) => saved.push(file)")
    tab.evaluate("document.querySelectorAll('#figure-auroc .files button').forEach((button) => button.click())")
    tab.wait_for("saved.length === 3")
    names = tab.evaluate("saved.map((file) => file[0]).sort()")
    assert names == ["auroc.csv", "auroc.png", "auroc.svg"]
    assert tab.evaluate("saved.find((file) => file[0] === 'auroc.png')[2].size") > 10_000
    table = tab.evaluate("saved.find((file) => file[0] === 'auroc.csv')[2]")
    assert table == (report.parent / "figures" / "auroc.csv").read_text()


def test_cases_can_be_looked_at_with_the_keyboard(tab, report):
    said = "document.querySelector('.said').textContent"
    control = "document.querySelector('[data-control={}]')"
    assert tab.evaluate("document.querySelector('.cases').hidden")
    assert f"right: CR {LADDER[-1]:.0f}" in tab.evaluate(said)
    tab.evaluate(control.format("ratio") + ".focus()")
    tab.key("ArrowLeft")
    assert f"right: CR {LADDER[-2]:.0f}" in tab.evaluate(said)
    size = "[document.querySelector('canvas').width, document.querySelector('canvas').getBoundingClientRect().width]"
    assert tab.evaluate(size)[0] == 2 * 256 + 4
    choose = "(() => {{ const c = {0}; c.value = '{1}'; c.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
    for view, words in (
        ("difference", "less uncompressed, 1 times"),
        ("slider", "Left of the line"),
        ("one", "CR 10000"),
    ):
        tab.evaluate(choose.format(control.format("view"), view))
        assert words in tab.evaluate(said)
    tab.evaluate(choose.format(control.format("zoom"), "4"))
    assert tab.evaluate(size) == [256, 1024]
    tab.evaluate(choose.format(control.format("case"), "1"))
    assert "phantom_001_benign" in tab.evaluate("document.querySelector('canvas').getAttribute('aria-label')")


@pytest.mark.slow
def test_it_is_accessible(tab):
    axe = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    tab.evaluate("document.querySelectorAll('details:not(#guidelines *)').forEach((found) => { found.open = true; })")
    tab.evaluate(f"{script}; 0")
    listed = "(found) => found.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 120))])"
    # Rows and points are alike; with all of them it takes a minute.
    context = "{include: [['html']], exclude: [['tbody tr:nth-child(n+3)'], ['.drawing svg *']]}"
    assert tab.evaluate(f"axe.run({context}).then({listed})") == []
    tab.show(1280, dark=True)
    assert tab.evaluate(f"axe.run({context}, {{runOnly: ['color-contrast']}}).then({listed})") == []


def test_it_is_printed_on_a4(tab):
    document = tab.pdf()
    assert document.startswith(b"%PDF")
    sizes = {
        tuple(round(float(value)) for value in box.split()) for box in re.findall(rb"/MediaBox \[([^\]]+)\]", document)
    }
    assert sizes == {(0, 0, 595, 842)}
    assert len(document) < 6_000_000


def test_without_its_script_everything_can_be_read(tab, report):
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(report)
    tab.wait_for("document.readyState === 'complete' && document.querySelector('.viewer')")
    assert tab.evaluate("document.querySelector('.viewer').getClientRects().length") == 0
    shown = "[...document.querySelectorAll('.case img')].filter((image) => image.checkVisibility()).length"
    assert tab.evaluate(shown) == 1 + len(LADDER), "the first case is open, the others can be opened"
    assert tab.evaluate("document.querySelectorAll('.point title').length") > 50, "the browser shows values on pointing"


def test_the_page_is_small(report):
    assert report.stat().st_size < 6_000_000
