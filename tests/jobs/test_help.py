"""The command line answers at once: help, version, completion, misspelt names. It needs no package experiments."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mammo_jax.jobs import command_line, study
from mammo_jax.jobs.completion import SHELLS, completion_script
from mammo_jax.jobs.help import stored_flags

ROOT = Path(__file__).parents[2]
HEAVY = ("jax", "tensorflow", "numba", "pandas", "scipy", "flax", "mammo_jax.jobs.config")


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["mammo-jax", *arguments])
    command_line.main()


def test_help_version_and_completion_import_nothing_heavy():
    code = (
        "import sys; from mammo_jax.jobs.command_line import main\n"
        "commands = '--help', '--version', 'study --help-all', 'completion fish', 'study --epoch'\n"
        "for words in map(str.split, commands):\n"
        "    sys.argv = ['mammo-jax', *words]\n"
        "    try: main()\n"
        "    except SystemExit: pass\n"
        f"print('HEAVY', [name for name in {HEAVY} if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_the_first_help_shows_ten_flags_and_the_other_all(monkeypatch, capsys):
    for flag, shown in (("--help", False), ("--help-all", True)):
        with pytest.raises(SystemExit) as ended:
            run(monkeypatch, "study", flag)
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert said.startswith("usage: mammo-jax study [flags]\n")
        assert "--epochs INT" in said
        assert ("--birads-benign" in said) is shown
        assert ("training: Settings of one training." in said) is shown
        assert "mammo-jax study --source folder --table images.csv" in said


def test_help_beside_other_flags_has_their_defaults(capsys):
    with pytest.raises(SystemExit):
        study.main(["--source", "mias", "--unit", "whole", "--help"])
    assert "(default runs/mias-whole)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compres"], "error: there is no job compres; did you mean compress or compare?"),
        (["xyzzy"], "error: there is no job xyzzy; mammo-jax --help lists the jobs"),
        (["study", "--epoch", "3"], "error: mammo-jax study has no flag --epoch; did you mean --epochs?"),
        (
            ["study", "--validation_part=1"],
            "error: mammo-jax study has no flag --validation-part; did you mean --validation-parts?",
        ),
        (["scan", "--zzz"], "error: mammo-jax scan has no flag --zzz; mammo-jax scan --help-all lists them"),
    ],
)
def test_a_misspelt_job_or_flag_is_answered_with_the_right_one(words, said, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, *words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.strip() == said


def test_a_value_that_cannot_be_names_the_flag(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "scan", "folder", "--out", "x", "--workers", "many")
    said = capsys.readouterr()
    assert "--workers" in said.out + said.err


def test_the_version_names_what_counts(monkeypatch, capsys):
    run(monkeypatch, "--version")
    said = capsys.readouterr().out
    assert said.startswith("mammo-jax ")
    assert "revision" in said
    assert "\njax " in said
    assert "\nPython 3." in said


def complete(*words):
    script = f"{completion_script('bash')}\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _mammo_jax"
    done = subprocess.run(
        ["bash", "-c", f'{script}; echo "${{COMPREPLY[@]}}"'], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_bash_completes_jobs_flags_and_values():
    assert complete("mammo-jax", "stu") == ["study"]
    assert complete("mammo-jax", "study", "--ep") == ["--epochs"]
    assert complete("mammo-jax", "study", "--source", "ph") == ["phantom"]
    assert complete("mammo-jax", "completion", "z") == ["zsh"]
    assert set(complete("mammo-jax", "study", "--ta")) == {"--table", "--target"}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_flag_is_in_the_script_of_every_shell(shell):
    script = completion_script(shell)
    option = "-l {}" if shell == "fish" else "--{}"
    for job in stored_flags().descriptions:
        for group in stored_flags().groups(job):
            for flag in group.flags:
                for name in flag.names:
                    assert not name.startswith("--") or option.format(name[2:]) in script
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=script, text=True, check=True)


def test_a_package_of_others_called_experiments_does_no_harm(tmp_path):
    """As where an environment has another project's folder of that name ahead on the path."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").write_text("raise ImportError('of others')")
    (tmp_path / "images").mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-m", "mammo_jax", "scan", "images", "--out", "scan"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "of others" not in done.stderr
    assert done.stderr.startswith("error: images")


def test_a_job_of_the_repository_is_found_ahead_of_other_packages(tmp_path, monkeypatch):
    found = []

    class Job:
        @staticmethod
        def main(flags):
            found.append((sys.path[0], flags))

    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(command_line.importlib, "import_module", lambda name: Job)
    run(monkeypatch, "check-harm", "--studies", "3")
    assert found == [(str(ROOT), ["--studies", "3"])]


def test_a_job_of_the_repository_is_refused_where_there_is_none(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command_line, "REPOSITORY", tmp_path)
    with pytest.raises(SystemExit, match="not in the installed package"):
        run(monkeypatch, "check-harm")
    run(monkeypatch, "--help")
    assert "check-harm" not in capsys.readouterr().out
