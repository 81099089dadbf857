"""What every job's `main` does around the job: set the process up, read the flags, report what the user can mend."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import codec
from mammo_jax.errors import UserError
from mammo_jax.runtime import set_up

Config = TypeVar("Config")

MENDABLE = (UserError, codec.CodecError, OSError)
"""Errors whose message says what to do; anything else is a fault of ours and keeps its traceback."""


def run_job(
    job: Callable[[Config, list[str]], None],
    parse: Callable[[list[str]], Config],
    arguments: Sequence[str] | None,
    *,
    networks: bool,
) -> None:
    """Run a job; end with one line where the user can mend what is wrong.

    Parameters
    ----------
    job : callable
        Takes the configuration and the flags that it comes from.
    parse : callable
        Flags → configuration.
    arguments : sequence of str or None
        The flags; None stands for those of the command line.
    networks : bool
        Whether the job computes networks, see `mammo_jax.runtime.set_up`.
    """
    set_up(networks=networks)
    flags = list(sys.argv[1:] if arguments is None else arguments)
    config = parse(flags)
    try:
        job(config, flags)
    except MENDABLE as error:
        raise SystemExit(f"error: {error}") from error
