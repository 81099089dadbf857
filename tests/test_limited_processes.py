"""Calls that hang, need too much memory or end their process cost one item, and no other."""

import os
import signal
import time

import numpy as np
import pytest

from mammo_jax import limited_processes
from mammo_jax.limited_processes import Limits, Stopped, results_within_limits
from mammo_jax.processes import WorkerError


def costly(item):
    match item:
        case "hang":
            while True:
                pass
        case "wait":
            time.sleep(600)
        case "memory":
            return int(np.ones(2**28).sum())  # 2 GiB
        case "abort":
            os.abort()
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "error":
            raise ValueError("a fault of ours")
    return item.upper(), os.getpid()


class Unstartable:
    def __call__(self, item):
        return item

    def __reduce__(self):
        return os._exit, (3,)


def test_what_exceeds_a_limit_is_stopped_alone_and_the_order_stays():
    items = ["a", "hang", "memory", "b", "abort", "killed", "c"]
    start = time.monotonic()
    results = list(results_within_limits(costly, items, 2, Limits(seconds=1.5, gigabytes=1)))
    assert time.monotonic() - start < 300
    assert [result[0] for result in results if not isinstance(result, Stopped)] == ["A", "B", "C"]
    reasons = [result.reason if isinstance(result, Stopped) else "" for result in results]
    assert reasons[1] == "takes longer than 1.5 s"
    assert not any(reasons[place] for place in (0, 3, 6))
    assert reasons[2] == "needs more memory than 1 GiB"
    assert "ended its process (exit code -6)" in reasons[4]
    assert "lack of memory" in reasons[5]


def test_what_waits_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(limited_processes, "WAITING", 1)
    stopped, (result, _) = results_within_limits(costly, ["wait", "a"], 1, Limits(seconds=1))
    assert stopped == Stopped("takes longer than 1 s, most of it waiting")
    assert result == "A"


def test_an_exception_is_raised_and_no_process_is_left():
    results = results_within_limits(costly, ["a", "error", "wait"], 1, Limits())
    _, worker = next(results)
    with pytest.raises(ValueError, match="a fault of ours"):
        next(results)
    assert not os.path.exists(f"/proc/{worker}/exe")


def test_a_process_that_cannot_start_is_one_error():
    with pytest.raises(WorkerError, match="while it started"):
        list(results_within_limits(Unstartable(), ["a"], 1, Limits()))
