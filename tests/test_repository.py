"""Rules that hold for the repository as a whole."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mammo_jax.jobs.catalogue import JOBS, REPOSITORY_JOBS
from mammo_jax.jobs.command_line import job_module, main

ROOT = Path(__file__).parents[1]
PACKAGES = ("codec", "mammo_jax", "experiments")
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_BINARY_BYTES = 200_000
BINARY_SUFFIXES = {".png", ".jpg", ".tif", ".tiff", ".pgm", ".pgx", ".dcm", ".j2k", ".jp2", ".npy", ".npz", ".parquet"}


def tracked() -> list[Path]:
    """Files under version control; without git, as in an unpacked archive, the files of the packages and tests."""
    if not (ROOT / ".git").exists():
        return [path for folder in (*PACKAGES, "tests") for path in (ROOT / folder).rglob("*") if path.is_file()]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).exists()]


def sources() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PACKAGES]


def test_imports_go_one_way():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kept, 0 broken" in done.stdout


def test_files_are_short():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}
    assert len(lengths) > 20
    assert {name: length for name, length in lengths.items() if length > MAX_FILE_LINES} == {}


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without those of its docstring: how long it is to read, however well it is described."""
    first = function.body[0]
    described = ast.get_docstring(function) is not None
    return function.end_lineno - function.lineno + 1 - (first.end_lineno - first.lineno + 1) * described


def test_functions_are_short():
    lengths = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": code_lines(node)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert len(lengths) > 200
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def test_no_file_is_a_drawer_for_everything():
    names = {path.stem for path in sources()}
    assert not names & {"utils", "util", "helpers", "misc", "common"}


def test_no_large_binary_and_no_medical_image_is_tracked():
    paths = tracked()
    assert [path for path in paths if path.suffix in BINARY_SUFFIXES and path.stat().st_size > MAX_BINARY_BYTES] == []
    assert [path for path in paths if path.suffix in {".dcm", ".pgm", ".pgx"} or path.name.startswith("mdb")] == []


def documents() -> list[Path]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    assert len(pages) > 1
    return pages


def documented(pattern: str) -> set[str]:
    return {text for page in documents() for text in re.findall(pattern, page.read_text(), re.MULTILINE)}


def test_the_documented_jobs_exist():
    jobs = documented(r"(?:mammo-jax |python -m experiments\.)([a-z][a-z_-]*)")
    assert "study" in jobs
    assert {job.replace("_", "-") for job in jobs} <= {*JOBS, *REPOSITORY_JOBS, "completion"}


def test_every_job_has_a_main_and_a_script():
    jobs = {path for path in (ROOT / "mammo_jax" / "jobs").glob("[a-z]*.py") if "\ndef main(arg" in path.read_text()}
    scripts = set((ROOT / "experiments").glob("[a-z]*.py"))
    assert {path.stem.replace("_", "-") for path in jobs} == set(JOBS)
    assert {path.stem.replace("_", "-") for path in scripts} == set(JOBS | REPOSITORY_JOBS)
    for job in JOBS | REPOSITORY_JOBS:  # none imports PyTorch before it is run
        script = importlib.import_module(f"experiments.{job.replace('-', '_')}")
        assert script.main is importlib.import_module(job_module(job)).main


@pytest.mark.parametrize("job", ["check-saliency", "check_against_torch"])
def test_a_job_that_needs_torch_says_what_to_install(job, monkeypatch):

    class WithoutTorch:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "torch":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [WithoutTorch, *sys.meta_path])
    monkeypatch.setattr(sys, "argv", ["mammo-jax", job])
    with pytest.raises(SystemExit, match=r"^error: torch is not installed; pip install 'mammo-jax\[torch\]'$"):
        main()


def test_the_documented_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = documented(r"^ *(?:\$ )?make ([a-z-]+)") | documented(r"`make ([a-z-]+)`")
    assert named
    assert named <= targets


def test_the_documents_links_lead_somewhere():
    for page in documents():
        for link, heading in re.findall(r"\]\(([^)#:]+)(?:#([^)]+))?\)", page.read_text()):
            target = page.parent / link
            assert target.exists(), (page, link)
            headings = re.findall(r"^#+ (.*)", target.read_text(), re.MULTILINE) if heading else []
            anchors = {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
            assert not heading or heading in anchors, (page, link, heading)


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_holds_every_dependency_once_for_each_python(python):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]]
    lock = re.findall(r"^([^\s#].*?) *\\$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert len(lock) > 50
    environment = {
        "python_version": python, "python_full_version": f"{python}.1", "sys_platform": "linux",
        "platform_system": "Linux", "platform_machine": "x86_64", "os_name": "posix",
        "implementation_name": "cpython", "platform_python_implementation": "CPython",
    }  # fmt: skip
    pinned: dict[str, str] = {}
    for requirement in map(Requirement, lock):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = canonicalize_name(requirement.name)
            assert name not in pinned, name
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            pinned[name] = specifier.version
    for requirement in asked:
        if requirement.marker is None or requirement.marker.evaluate(environment):
            assert pinned.get(canonicalize_name(requirement.name), "") in requirement.specifier, requirement.name


def test_the_commit_hooks_use_the_projects_own_tools():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    entries = [hook["entry"].split()[0] for hook in hooks[0]["hooks"]]
    tools = Path(sys.executable).parent
    assert entries
    assert all((tools / Path(entry).name).exists() for entry in entries)


CI_STEPS = ("lint types", "test", "pip freeze", "pip install", "pytest", "check_against_torch")

FAKE_PROGRAM = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
for word in "$@"; do
    case $word in VENV=*) mkdir -p "${word#VENV=}/bin" && cp "$0" "${word#VENV=}/bin/python";; esac
done
test "$(wc -l <"$CALLS")" != "$FAILING"
"""


@pytest.mark.parametrize("failing", [None, *range(len(CI_STEPS))])
def test_the_ci_stops_at_the_first_step_that_fails(failing, tmp_path):
    """The script itself; programs that write down what is asked of them stand for make, Python and the browser."""
    (tmp_path / "scratch").mkdir()
    for name in ("make", "chromium"):
        (tmp_path / name).write_text(FAKE_PROGRAM)
        (tmp_path / name).chmod(0o755)
    changes = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(tmp_path / "scratch"),
        "CALLS": str(tmp_path / "calls"),
        "FAILING": "none" if failing is None else str(failing + 1),
    }
    done = subprocess.run([ROOT / ".ci" / "run"], env=os.environ | changes, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (failing is None), done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    expected = CI_STEPS if failing is None else CI_STEPS[: failing + 1]
    assert len(calls) == len(expected)
    assert all(step in call for call, step in zip(calls, expected)), calls
    assert not list((tmp_path / "scratch").iterdir()), "nothing is left behind"
