from pathlib import Path

import pytest
from html_page import Page
from synthetic_run import write_run

from mammo_jax.report import build_report
from mammo_jax.run_folder import RunFolder


@pytest.fixture(scope="package")
def run(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="package")
def page(run) -> Page:
    return Page(build_report(RunFolder(run)).read_text(encoding="utf-8"))
