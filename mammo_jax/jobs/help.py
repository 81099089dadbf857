"""What `--help` says, and the answer to a flag that a job does not have."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import tyro

from mammo_jax.jobs.catalogue import JOBS
from mammo_jax.jobs.flags import Flag, FlagGroup, flag_groups

Config = TypeVar("Config")

STORED = Path(__file__).with_name("flags.json")
HELP, HELP_ALL = ("-h", "--help"), "--help-all"
FROM_CONFIG = Flag(
    ["--config"], "PATH", "none", "config.json or folder of a run: start it again, other flags on top.", []
)
OF_ALL_JOBS = (
    Flag(["--help", "-h"], "", "", "Show this help.", []),
    Flag([HELP_ALL], "", "", "Show all flags.", []),
    Flag(["--debug"], "", "", "Show the traceback of an error.", []),
)
LEAST_COLUMNS, MOST_COLUMNS = 60, 100
NAME_COLUMNS = 26


@dataclass(frozen=True)
class StoredFlags:
    """What is known of the jobs without importing them.

    Attributes
    ----------
    descriptions : dict
        Job → its description, a string a paragraph.
    of_configs : dict
        Configuration class, as "package.module:Class" → the groups of its flags.
    """

    descriptions: dict[str, list[str]]
    of_configs: dict[str, list[FlagGroup]]

    def groups(self, job: str) -> list[FlagGroup]:
        """Return the flags of a job."""
        return self.of_configs[JOBS[job].config]


@lru_cache(maxsize=1)
def stored_flags() -> StoredFlags:
    """Return what `flags.json` has."""
    found = json.loads(STORED.read_text(encoding="utf-8"))
    groups = {config: [_group(**group) for group in groups] for config, groups in found["of_configs"].items()}
    return StoredFlags(found["descriptions"], groups)


def _group(title: str, text: str, flags: list[dict[str, Any]]) -> FlagGroup:
    return FlagGroup(title, text, [Flag(**flag) for flag in flags])


def read_flags(
    job: str, config: type[Config], flags: Sequence[str], default: Config | None = None, *, prefixes: bool = True
) -> Config:
    """Turn flags into a configuration, or end with help or with what is wrong.

    Parameters
    ----------
    job : str
    config : type
        The configuration class.
    flags : sequence of str
    default : instance of it, optional
        Whose values stand where no flag says otherwise.
    prefixes : bool
        See `flag_groups`.
    """
    groups = flag_groups(config, default, prefixes=prefixes)
    if wants_help(flags):
        print(help_text(job, groups, everything=HELP_ALL in flags))
        raise SystemExit(0)
    refuse_unknown(job, groups, flags)
    return tyro.cli(
        config,
        args=list(flags),
        prog=f"mammo-jax {job}",
        add_help=False,
        config=() if prefixes else (tyro.conf.OmitArgPrefixes,),
        default=tyro.MISSING_NONPROP if default is None else default,
    )


def wants_help(flags: Sequence[str]) -> bool:
    """Whether a command asks for help."""
    return any(flag in (*HELP, HELP_ALL) for flag in flags)


def refuse_unknown(job: str, groups: Sequence[FlagGroup], flags: Sequence[str]) -> None:
    """End with exit code 2 at the first flag that the job does not have, and name those that are spelt like it."""
    known = [name for flag in (*all_flags(job, groups), *OF_ALL_JOBS) for name in flag.names]
    for flag in flags:
        name = flag.split("=", 1)[0].replace("_", "-")
        if flag == "--":
            return
        if flag.startswith("--") and name not in known:
            near = get_close_matches(name, known, n=2, cutoff=0.6)
            said = f"did you mean {' or '.join(near)}?" if near else f"mammo-jax {job} {HELP_ALL} lists them"
            print(f"error: mammo-jax {job} has no flag {name}; {said}", file=sys.stderr)
            raise SystemExit(2)


def all_flags(job: str, groups: Sequence[FlagGroup]) -> list[Flag]:
    """Return the flags of a job in all groups, with --config where it has that."""
    own = [flag for group in groups for flag in group.flags]
    return own + ([FROM_CONFIG] if job in JOBS and JOBS[job].shares_study_flags else [])


def help_text(job: str, groups: Sequence[FlagGroup], *, everything: bool) -> str:
    """Return what --help or --help-all prints of a job.

    Parameters
    ----------
    job : str
    groups : sequence of FlagGroup
        Its flags with their defaults.
    everything : bool
        Show all flags in their groups instead of those that matter first.
    """
    flags = all_flags(job, groups)
    places = [flag.names[0] for flag in flags if not flag.names[0].startswith("-")]
    lines = ["usage: " + " ".join(["mammo-jax", job, *places, "[flags]"]), ""]
    for paragraph in stored_flags().descriptions[job]:
        lines += [*_wrapped(paragraph, ""), ""]
    first = [flag for flag in flags if any(name in JOBS[job].first for name in flag.names)]
    common = [*(flag for flag in flags if flag == FROM_CONFIG), *OF_ALL_JOBS]
    if first and not everything:
        rest = len(flags) + len(OF_ALL_JOBS) - len(first) - len(common)
        lines += ["the flags that matter first", *_listed([*first, *common]), "", f"{rest} more: {HELP_ALL}", ""]
    else:
        for group in groups:
            title = f"{group.title}: {group.text}" if group.text else group.title
            lines += [*_wrapped(title, ""), *_listed(group.flags), ""]
        lines += ["also", *_listed(common), ""]
    lines.append("examples")
    for command, text in JOBS[job].examples:
        lines += [f"  mammo-jax {command}", f"      {text}"]
    return "\n".join(lines)


def _listed(flags: Sequence[Flag]) -> list[str]:
    lines = []
    for flag in flags:
        head = f"  {', '.join(flag.names)} {flag.values}".rstrip()
        default = {"": "", "required": " (required)"}.get(flag.default, f" (default {flag.default})")
        text = _wrapped(flag.text + default, " " * NAME_COLUMNS)
        if len(head) < NAME_COLUMNS - 1:
            text[0] = head.ljust(NAME_COLUMNS) + text[0].strip()
        else:
            lines.append(head)
        lines += text
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    columns = max(min(shutil.get_terminal_size().columns, MOST_COLUMNS), LEAST_COLUMNS)
    return textwrap.wrap(text, columns, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
