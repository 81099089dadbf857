"""What is installed, and what stands beside the packages, says the same as the repository."""

import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_wheel_holds_every_file_of_the_packages(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("an unpacked archive does not say which files are the project's")
    listed = ["git", "ls-files", "codec", "mammo_jax"]
    files = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == {name for name in files if (ROOT / name).exists()}
    assert {"codec/py.typed", "mammo_jax/py.typed"} <= packed
    assert {Path(name).suffix for name in packed} >= {".py", ".html", ".csv"}


def test_the_citation_has_the_version_and_licence_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_site_has_every_document_once():
    pages = re.findall(r": (\S+\.(?:md|ipynb))$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    generated = {"index.md", "changelog.md", "contributing.md"}
    documents = {path.name for kind in ("*.md", "*.ipynb") for path in (ROOT / "docs").glob(kind)}
    assert len(pages) == len(set(pages))
    assert set(pages) == documents | generated


def test_the_container_copies_what_is_there():
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert {"requirements.lock", "codec", "mammo_jax", PROJECT["readme"], *PROJECT["license-files"]} <= set(names)
    assert all((ROOT / name).exists() for name in names)
