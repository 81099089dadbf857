"""The command line: `mammo-jax JOB [flags]`, also as `python -m mammo_jax JOB` or `python -m experiments.JOB`.

What needs no job is answered before one is imported, which takes seconds: help, version, completion, misspelt names.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from mammo_jax.jobs.catalogue import GROUPS, JOBS, REPOSITORY_JOBS

REPOSITORY = Path(__file__).parents[2]
"""Where experiments/ lies, if this is a clone."""

PACS_PACKAGES = ("pynetdicom", "dicomweb_client")
"""Packages of the extra `pacs`."""


def usage() -> str:
    """List the jobs."""
    listed = {group: {name: job.text for name, job in jobs.items()} for group, jobs in GROUPS.items()}
    if _in_clone():
        listed["Of this repository"] = REPOSITORY_JOBS
    lines = ["usage: mammo-jax JOB [flags]     (mammo-jax JOB --help shows a job's flags and examples)", ""]
    for group, jobs in listed.items():
        lines += [f"{group}:", *(f"  {name:<21}{text}" for name, text in jobs.items()), ""]
    shells = "  completion SHELL     the completion script of bash, zsh or fish"
    return "\n".join(
        [*lines, "And:", shells, "  --version            versions of the package and of what it stands on"]
    )


def _in_clone() -> bool:
    return (REPOSITORY / "experiments" / "write_help.py").exists()


def job_module(job: str) -> str:
    """Name of the module that holds a job's `main`."""
    return f"{'mammo_jax.jobs' if job in JOBS else 'experiments'}.{job.replace('-', '_')}"


def main() -> None:
    """Run the job that the first argument names; end quietly where nobody reads what it prints, as before `head`."""
    try:
        try:
            _answer(sys.argv[1:])
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still writes at its end
        raise SystemExit(141) from None  # as a shell calls it: 128 + SIGPIPE


def _answer(arguments: list[str]) -> None:
    if os.getcwd() not in sys.path:  # the console command has its own folder there; a network of the user lies here
        sys.path.append(os.getcwd())
    if not arguments or arguments[0] in ("-h", "--help", "--help-all", "help"):
        print(usage())
    elif arguments[0] in ("--version", "-V"):
        print(version_text())
    elif arguments[0] == "completion":
        _complete(arguments[1:])
    else:
        _run(arguments[0].replace("_", "-"), arguments[1:])


def version_text() -> str:
    """Return the versions of this package and of what it stands on, and the revision of a clone."""
    from mammo_jax.provenance import environment  # here, since it starts git

    found = environment()
    packages = found["packages"]
    own = f"mammo-jax {packages.pop('mammo-jax')} (revision {found['git_revision']})"
    return "\n".join(
        [own, f"Python {platform.python_version()}", *(f"{name} {text}" for name, text in packages.items())]
    )


def _complete(arguments: Sequence[str]) -> None:
    from mammo_jax.jobs.completion import SHELLS, completion_script

    if len(arguments) != 1 or arguments[0] not in SHELLS:
        how = "\n".join(f"  {name:<5} {text}" for name, text in SHELLS.items())
        raise SystemExit(f"usage: mammo-jax completion {'|'.join(SHELLS)}\n\n{how}")
    print(completion_script(arguments[0]))


def _run(job: str, flags: list[str]) -> None:
    if job not in JOBS | REPOSITORY_JOBS:
        near = get_close_matches(job, [*JOBS, *REPOSITORY_JOBS, "completion"], n=2, cutoff=0.5)
        said = f"did you mean {' or '.join(near)}?" if near else "mammo-jax --help lists the jobs"
        print(f"error: there is no job {job}; {said}", file=sys.stderr)
        raise SystemExit(2)
    if job in JOBS:
        _answer_at_once(job, flags)
    elif not _in_clone():
        raise SystemExit(f"error: {job} is not in the installed package; run it in a clone of the repository")
    else:
        sys.path.insert(0, str(REPOSITORY))  # ahead of any other package that is called experiments
    try:
        module = importlib.import_module(job_module(job))
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in PACS_PACKAGES:
            raise
        raise SystemExit(f"error: {error.name} is not installed; pip install 'mammo-jax[pacs]'") from error
    module.main(flags)


def _answer_at_once(job: str, flags: Sequence[str]) -> None:
    """Print a job's help where no other flag changes its defaults, and refuse flags that it does not have."""
    from mammo_jax.jobs.help import HELP, HELP_ALL, help_text, refuse_unknown, stored_flags

    groups = stored_flags().groups(job)
    refuse_unknown(job, groups, flags)
    if flags and set(flags) <= {*HELP, HELP_ALL}:
        print(help_text(job, groups, everything=HELP_ALL in flags))
        raise SystemExit(0)
