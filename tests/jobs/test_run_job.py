"""How jobs end: one line and an exit code for what the user can mend or has stopped; our faults have a traceback."""

import errno
import os
import signal

import pytest

from mammo_jax.errors import UserError
from mammo_jax.jobs.run_job import run_job


def end(job, *flags):
    """Run a job that does what `job` does; return the SystemExit."""
    with pytest.raises(SystemExit) as ended:
        run_job(lambda config, flags: job(), lambda flags: flags, flags, networks=False)
    return ended.value


def failing(error):
    def job():
        raise error

    return job


def test_what_the_user_can_mend_is_one_line():
    assert end(failing(UserError("folds: take more"))).code == "error: folds: take more"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "run/audit.csv"),
        RuntimeError("RESOURCE_EXHAUSTED: run/checkpoints; No space left on device"),
    ],
)
def test_a_full_disk_says_that_the_rest_is_safe(error):
    message = end(failing(error)).code
    assert message.startswith("error: the disk is full (")
    assert "What is finished is kept; run the same command again" in message


def test_a_folder_that_may_not_be_written_to():
    message = end(failing(PermissionError(errno.EACCES, "Permission denied", "/run"))).code
    assert message == "error: [Errno 13] Permission denied: '/run'; choose an --out that you may write to"


def test_ctrl_c(capsys):
    assert end(failing(KeyboardInterrupt())).code == 130
    said = capsys.readouterr().err
    assert said == "\nInterrupted. What is finished is kept; run the same command again to go on.\n"


def test_sigterm(capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert end(lambda: os.kill(os.getpid(), signal.SIGTERM)).code == 143
    assert capsys.readouterr().err.startswith("\nEnded from outside (SIGTERM). What is finished is kept;")
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_fault_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_job(lambda config, flags: 1 / 0, lambda flags: flags, [], networks=False)


def test_debug_keeps_every_traceback_and_is_no_flag_of_the_job():
    seen = []

    def job(config, flags):
        seen.extend([config, flags])
        raise UserError("a")

    with pytest.raises(UserError):
        run_job(job, lambda flags: list(flags), ["--x", "--debug"], networks=False)
    assert seen == [["--x"], ["--x"]]
