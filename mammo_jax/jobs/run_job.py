"""What every job's `main` does around the job: set the process up, read the flags, end with one line a user can use."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import codec
from mammo_jax.errors import UserError
from mammo_jax.runtime import set_up

Config = TypeVar("Config")

MENDABLE = (UserError, codec.CodecError, OSError)
"""Errors whose message says what to do; anything else is a fault of ours and keeps its traceback."""
DEBUG = "--debug"
GO_ON = "What is finished is kept; run the same command again to go on."
DISK_FULL = "No space left on device"  # libraries that are not Python's put the system's words into errors of their own


class Terminated(BaseException):
    """SIGTERM has come. No Exception, so that nothing takes it for a fault of what it is working on."""


def run_job(
    job: Callable[[Config, list[str]], None],
    parse: Callable[[list[str]], Config],
    arguments: Sequence[str] | None,
    *,
    networks: bool,
) -> None:
    """Run a job; end with one line where the user can mend what is wrong, or has stopped it.

    The exit code is 1 after an error, 130 after Ctrl-C and 143 after SIGTERM. With the flag ``--debug`` errors keep
    their traceback.

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
    debug = DEBUG in flags
    flags = [flag for flag in flags if flag != DEBUG]
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        job(parse(flags), flags)
    except KeyboardInterrupt:
        _end(f"Interrupted. {GO_ON}", 128 + signal.SIGINT)
    except Terminated:
        _end(f"Ended from outside (SIGTERM). {GO_ON}", 128 + signal.SIGTERM)
    except Exception as error:
        message = _message(error)
        if debug or message is None:
            raise
        raise SystemExit(f"error: {message}") from error
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: Any) -> NoReturn:  # noqa: ARG001
    raise Terminated


def _end(message: str, code: int) -> NoReturn:
    print(f"\n{message}", file=sys.stderr)  # on a line of its own, below a progress bar
    raise SystemExit(code)


def _message(error: Exception) -> str | None:
    """The line for the user; None where the error is a fault of ours."""
    if (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)) or DISK_FULL in str(error):
        return f"the disk is full ({error}). {GO_ON} Make space first, or choose an --out on another disk."
    if isinstance(error, PermissionError):
        return f"{error}; choose an --out that you may write to"
    return str(error) if isinstance(error, MENDABLE) else None
