import gc
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """The network library leaves a socket to the garbage collector where no association came about."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(autouse=True)
def no_socket_is_left_to_other_tests():
    yield
    gc.collect()
