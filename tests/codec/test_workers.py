"""Workers give what a plain loop gives, however many threads there are."""

import threading
import time

import pytest

from codec.errors import OptionError
from codec.workers import Workers


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_every_item_is_worked_on_once_and_in_its_place(threads, count):
    seen = []
    with Workers(threads) as workers:
        results = workers.map(lambda item: (seen.append(item), 3 * item)[1], iter(range(count)))
    assert results == [3 * item for item in range(count)]
    assert sorted(seen) == list(range(count))


def test_threads_work_side_by_side():
    barrier = threading.Barrier(3, timeout=30)
    with Workers(3) as workers:
        workers.map(lambda _: barrier.wait(), range(3))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("wrong", [0, 1, 7])
def test_an_error_comes_to_the_caller_when_nobody_works_any_more(threads, wrong):
    running, begun = [], []

    def work(item):
        begun.append(item)
        running.append(item)
        time.sleep(0.01 if item == wrong else 0.05)
        running.remove(item)
        if item == wrong:
            raise ArithmeticError(item)

    with Workers(threads) as workers:
        with pytest.raises(ArithmeticError):
            workers.map(work, range(40))
        assert running == []
    assert len(begun) < 20, "the rest was worked on all the same"


def test_work_may_be_shared_within_shared_work():
    with Workers(2) as workers:
        results = workers.map(lambda _: workers.map(str, range(3)), range(4))
    assert results == [["0", "1", "2"]] * 4


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 5, 64, 1000])
def test_shares_are_all_there_is(threads, count):
    shares = []
    with Workers(threads) as workers:
        workers.share(count, lambda first, end: shares.append((first, end)))
    assert [item for first, end in sorted(shares) for item in range(first, end)] == list(range(count))


def test_no_threads_are_refused():
    with pytest.raises(OptionError, match="threads"):
        Workers(0)
