"""The report rendered in a real browser."""

import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from synthetic_run import write_run

from mammo_jax.ratios import LADDER
from mammo_jax.report import build_report
from mammo_jax.run_folder import RunFolder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
@pytest.mark.parametrize("width", [500, 1200])
def test_a_browser_draws_it(tmp_path, width):
    """The page has no horizontal scroll bar, and the colours of the verdict and the curves are visible."""
    report = build_report(RunFolder(write_run(tmp_path / "run")))
    probe = report.read_text().replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
    probe = probe.replace(
        "</body>",
        "<script>addEventListener('load', () => { const root = document.documentElement;"
        " root.dataset.overflow = root.scrollWidth - root.clientWidth;"
        " root.dataset.drawn = [...document.images].filter(i => i.complete && i.naturalWidth > 0).length;"
        " })</script></body>",
    )
    (tmp_path / "probe.html").write_text(probe)
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"),
        *(f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},2400", "--hide-scrollbars"),
    ]
    uri = (tmp_path / "probe.html").as_uri()
    dom = subprocess.run(
        [CHROMIUM, *options, "--dump-dom", uri], capture_output=True, text=True, timeout=120, check=True
    )
    assert 'data-overflow="0"' in dom.stdout
    assert f'data-drawn="{2 + 2 * (1 + len(LADDER))}"' in dom.stdout
    shot = tmp_path / "shot.png"
    uri = report.as_uri()
    subprocess.run([CHROMIUM, *options, f"--screenshot={shot}", uri], capture_output=True, timeout=120, check=True)
    pixels = np.asarray(Image.open(shot).convert("RGB")).reshape(-1, 3)
    assert (pixels == 255).all(axis=1).mean() > 0.5
    for colour in ((0x0B, 0x53, 0x94), (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert (np.abs(pixels.astype(int) - colour).max(axis=1) <= 3).sum() > 50
