"""Pools of processes: results in order, one error for a lost process, and no worker without its parent."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from mammo_jax.processes import WorkerError, available_cores, results_as_completed, results_in_order

_marks = []


def mark():
    _marks.append(os.environ.get("MAMMO_TEST_MARK"))


def slow_square(number):
    time.sleep(0.3 if number == 0 else 0)
    return number**2, list(_marks)


def fail_at_one(folder, number):
    if number == 1:
        raise ValueError("one")
    Path(folder, str(number)).touch()
    time.sleep(0.2)


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def say_and_wait(folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)


def test_results_come_in_order_from_processes_that_were_set_up_once_in_their_environment(monkeypatch):
    monkeypatch.setenv("MAMMO_TEST_MARK", "before")
    options = {"set_up": mark, "environment": {"MAMMO_TEST_MARK": "set"}}
    results = list(results_in_order(slow_square, range(5), 2, **options))
    assert results == [(number**2, ["set"]) for number in range(5)]
    assert os.environ["MAMMO_TEST_MARK"] == "before"


def test_results_as_completed_name_their_items_and_the_caller_is_called_meanwhile():
    calls = []
    results = dict(results_as_completed(slow_square, range(4), 2, while_waiting=lambda: calls.append(1)))
    assert {place: square for place, (square, _) in results.items()} == {0: 0, 1: 1, 2: 4, 3: 9}
    assert len(calls) >= 4 / 2


def test_the_first_error_stops_what_has_not_begun(tmp_path):
    with pytest.raises(ValueError, match="one"):
        list(results_in_order(partial(fail_at_one, tmp_path), range(100), 1))
    assert len(list(tmp_path.iterdir())) < 10


def test_a_killed_process_is_one_clear_error():
    with pytest.raises(WorkerError, match="lack of memory; run again with fewer --workers"):
        list(results_in_order(die, [0, 1], 2))


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_a_parent_that_is_killed_or_interrupted(tmp_path, stop):
    # A shell starts what runs in the background with SIGINT ignored, which a child would inherit.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "import test_processes as t; list(t.results_in_order(t.say_and_wait, ['{folder}'] * 2, 2))"
    here = Path(__file__).parent
    parent = subprocess.Popen([sys.executable, "-c", code.format(folder=tmp_path)], cwd=here, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while len(workers := [int(path.name) for path in tmp_path.iterdir()]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.send_signal(stop)
    said = parent.communicate()[1].decode()
    assert said.count("Traceback") == (1 if stop == signal.SIGINT else 0)  # the parent's own
    while any(Path("/proc", str(worker), "exe").exists() for worker in workers):
        assert time.monotonic() < deadline


def test_cores_where_the_system_does_not_say_which_are_ours(monkeypatch):
    assert available_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS and Windows
    assert available_cores() == os.cpu_count()
