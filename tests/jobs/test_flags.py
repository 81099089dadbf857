"""What is known of the flags without importing a job is what tyro parses, and every flag and example says enough."""

import json
import re
import shlex
from pathlib import Path

import pytest
import tyro

from experiments.write_help import current_flags
from mammo_jax.jobs.catalogue import JOBS, STUDY_CONFIG
from mammo_jax.jobs.config import ConfigError, StudyConfig, load_preset, parse
from mammo_jax.jobs.flags import flag_groups, from_json, load_config
from mammo_jax.jobs.help import OF_ALL_JOBS, STORED, all_flags, read_flags, refuse_unknown, stored_flags
from mammo_jax.jobs.study_run import as_json

ROOT = Path(__file__).parents[2]
ONE_OF_EACH = {entry.config: job for job, entry in JOBS.items()}


def test_the_stored_flags_are_those_of_the_code():
    assert json.loads(STORED.read_text()) == current_flags(), "run `python -m mammo_jax write-help`"


@pytest.mark.parametrize("config", ONE_OF_EACH)
def test_tyro_parses_the_same_flags(config):
    study = config == STUDY_CONFIG
    markers = (tyro.conf.OmitArgPrefixes,) if study else ()
    with pytest.warns(DeprecationWarning, match="get_parser"):
        parser = tyro.extras.get_parser(load_config(config), config=markers, add_help=False)
    options = parser._actions
    theirs = {name for action in options for name in action.option_strings or [action.dest.upper()]}
    flags = [flag for group in flag_groups(load_config(config), prefixes=not study) for flag in group.flags]
    assert {name for flag in flags for name in flag.names} == theirs
    required = {action.option_strings[0] for action in options if action.option_strings and action.required}
    assert {flag.names[0] for flag in flags if flag.default == "required" and flag.names[0].startswith("-")} == required
    choices = {tuple(sorted(map(str, action.choices))) for action in options if action.choices}
    assert {tuple(sorted(flag.choices)) for flag in flags if flag.choices} <= {
        tuple(choice for choice in of_one if choice != "None") for of_one in choices
    }


@pytest.mark.parametrize("config", ONE_OF_EACH)
def test_every_flag_has_a_text_and_a_default(config):
    flags = [flag for group in stored_flags().of_configs[config] for flag in group.flags]
    assert [flag.names for flag in flags if len(flag.text) < 12 or not flag.default] == []


@pytest.mark.parametrize("job", JOBS)
def test_what_matters_first_exists_and_three_examples_can_be_parsed(job):
    groups = stored_flags().groups(job)
    names = {name for flag in (*all_flags(job, groups), *OF_ALL_JOBS) for name in flag.names}
    assert set(JOBS[job].first) <= names
    assert len(JOBS[job].first) <= 11
    assert len(JOBS[job].examples) == 3
    for command, text in JOBS[job].examples:
        words = shlex.split(command)
        assert words[0] == job
        assert text
        refuse_unknown(job, groups, words[1:])
        if "--help" in words or "--config" in words:
            continue
        config = load_config(JOBS[job].config)
        parsed = parse(words[1:]) if JOBS[job].shares_study_flags else read_flags(job, config, words[1:])
        assert type(parsed) is config


def test_the_flags_in_the_documents_exist():
    known = {
        name
        for job in JOBS
        for flag in (*all_flags(job, stored_flags().groups(job)), *OF_ALL_JOBS)
        for name in flag.names
    }
    known |= {"--version"}
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for line in page.read_text().splitlines():
            if re.search(r"\b(pip|git|docker|uv|srun|opj_\w+|pytest|mkdocs|(benchmark|check)-\w+)\b", line):
                continue  # programs of others, and the repository's own measurements
            found = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9.-]*[a-z0-9]", line))
            assert found <= known, f"{page.name}: {line}"


def test_a_stored_config_is_the_same_config_and_flags_override_it(tmp_path):
    flags = "--source mias --source-dir data --unit whole --seeds 3 4 --pretrained none --model resnet18"
    config = parse(shlex.split(flags))
    (tmp_path / "config.json").write_text(json.dumps({"config": as_json(config)}))
    assert from_json(StudyConfig, as_json(config)) == config
    for path in (tmp_path, tmp_path / "config.json"):
        assert parse(["--config", str(path)]) == config
    again = parse([f"--config={tmp_path}", "--seeds", "5", "--epochs", "2"])
    assert (again.seeds, again.training.epochs, again.source_dir) == ((5,), 2, Path("data"))
    assert again.units == load_preset("mias", "whole").units


def test_a_stored_config_that_cannot_be_used_is_one_clear_error(tmp_path):
    for text in ("no json", "[]", '{"config": {"margins": 1}}', '{"config": {"folds": 1}}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ConfigError, match=r"--config .*config\.json: cannot be used .*; give a run's config\.json"):
            parse(["--config", str(tmp_path)])


def test_the_table_of_a_folder_has_a_name_of_its_own():
    assert parse(["--source", "folder", "--table", "a.csv"]) == parse(["--source", "folder", "--source-dir", "a.csv"])
