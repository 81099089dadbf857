"""Two processes never work in one run folder; a lock whose process is gone holds nobody up."""

import signal
import subprocess
import sys

import pytest

from mammo_jax.jobs.run_lock import LockedError, locked

HOLD = "import sys, time; from pathlib import Path; from mammo_jax.jobs.run_lock import locked\n"
HOLD += "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)"


def test_a_folder_is_one_process_s_until_it_ends(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "run"], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        whose = rf"run: process {holder.pid} on .* works here since 2.*choose another --out"
        for _ in range(2):  # who fails does not spoil the holder's name
            with pytest.raises(LockedError, match=whose), locked(tmp_path / "run"):
                pass
        holder.send_signal(signal.SIGKILL)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with locked(tmp_path / "run"):
        assert (tmp_path / "run" / ".lock.json").exists()
        (tmp_path / "run" / "result").touch()
    assert not (tmp_path / "run" / ".lock.json").exists()


def test_the_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path):
        pass


def test_a_folder_that_nothing_was_written_to_is_taken_away_again(tmp_path):
    with locked(tmp_path / "run"):
        pass
    assert not (tmp_path / "run").exists()
    with locked(tmp_path / "run"):
        (tmp_path / "run" / "result").touch()
    assert (tmp_path / "run").exists()
