"""Write what `--help`, completion and the answer to a misspelt flag say of every job: mammo_jax/jobs/flags.json.

    mammo-jax write-help

To be run after a flag, its default or its text has changed; a test says so. Cost: ten seconds.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mammo_jax.files import write_json
from mammo_jax.jobs.catalogue import JOBS, STUDY_CONFIG
from mammo_jax.jobs.command_line import job_module
from mammo_jax.jobs.config import StudyConfig, parse
from mammo_jax.jobs.flags import FlagGroup, flag_groups, load_config
from mammo_jax.jobs.help import STORED


def current_flags() -> dict[str, Any]:
    """Return what flags.json has to say now."""
    modules = {job: importlib.import_module(job_module(job)) for job in JOBS}
    configs = {entry.config for entry in JOBS.values()}
    return {
        "descriptions": {job: _paragraphs(module.__doc__ or "") for job, module in modules.items()},
        "of_configs": {config: [asdict(group) for group in _groups(config)] for config in sorted(configs)},
    }


def _groups(config: str) -> list[FlagGroup]:
    if config == STUDY_CONFIG:
        return flag_groups(StudyConfig, parse([]), prefixes=False)
    return flag_groups(load_config(config))


def _paragraphs(description: str) -> list[str]:
    """Return the paragraphs of a job's docstring; the commands in it are left to the examples."""
    lines = [line for line in description.splitlines() if not line.strip().startswith("mammo-jax ")]
    blocks = [" ".join(block.split()) for block in "\n".join(lines).split("\n\n")]
    return [block for block in blocks if block]


def main(arguments: Sequence[str] | None = None) -> None:  # noqa: ARG001
    """Run the job."""
    write_json(STORED, current_flags())
    print(STORED)


if __name__ == "__main__":
    main()
