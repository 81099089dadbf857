import pytest

from mammo_jax.scan import duplicates, inventory


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Work is done here: a process takes two seconds to import what it needs. `monkeypatch.undo` brings it back."""
    for module in (inventory, duplicates):
        monkeypatch.setattr(module, "results_within_limits", lambda function, items, *_: map(function, items))
