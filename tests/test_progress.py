"""Progress where standard error is no terminal: few lines, with rate and time left."""

import io
import sys

import pytest

from mammo_jax import progress as module
from mammo_jax.progress import counted, progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_line_comes_after_five_percent_but_not_within_thirty_seconds(clock, capsys):
    with progress("compressing", 1000, "image") as bar:
        for _ in range(1000):
            clock[0] += 0.5
            bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 17  # every 60 images, which take 30 s, and the end
    assert lines[0] == "compressing: 6 %, 60 of 1000 images, 2 images/s, 07:50 left"
    assert lines[-1] == "compressing: 100 %, 1000 of 1000 images, 2 images/s, 0:00 left"


def test_a_long_stage_says_something_every_ten_minutes(clock, capsys):
    with progress("training", 1000, "model", done=500) as bar:
        for _ in range(10):
            clock[0] += 240
            bar.set_postfix_str("AUROC 0.87")
            bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[0] == "training: 50 %, 503 of 1000 models, 240 s/model, 33:08:00 left, AUROC 0.87"


def test_a_stage_with_nothing_to_do_or_that_failed_at_once_says_nothing(clock, capsys):
    with progress("training", 0, "model"):
        pass
    with pytest.raises(RuntimeError), progress("training", 5, "model"):
        raise RuntimeError
    assert capsys.readouterr().err == ""


def test_items_are_counted_one_by_one(clock, capsys):
    items = counted("abc", "fetching", 3, "study")
    assert next(items) == "a"
    clock[0] += 2
    assert list(items) == ["b", "c"]
    assert "3 of 3 studies" in capsys.readouterr().err


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress("training", 4, "model", done=1) as bar:
        bar.update()
    assert bar.n == 2
    assert "2/4" in sys.stderr.getvalue()
