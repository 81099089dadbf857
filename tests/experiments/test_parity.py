"""Comparison of two results: wrong results never pass."""

import sys

import numpy as np
import pytest

from experiments import check_against_torch, check_saliency
from experiments.torch_parity.parity import Row, compare_arrays, needing_torch


def test_the_array_with_the_largest_excess_gives_the_row():
    ours = {"large": np.array([1000.0, 3.0]), "small": np.array([0.5, 0.2])}
    theirs = {"large": np.array([1000.01, 3.0]), "small": np.array([0.5, 0.201])}
    row = compare_arrays("weights", ours, theirs, 1e-4, of_scale=True)
    assert row.scale == 0.5, "the large array is within its limit, the small one is not"
    np.testing.assert_allclose(row.difference, 0.001, rtol=1e-9)
    assert not row.passed
    assert compare_arrays("weights", ours, theirs, None).scale == pytest.approx(1000.01)


def test_limits_are_absolute_or_relative_to_the_scale():
    assert Row("logits", 1e-4, 1000.0, 1e-4).passed
    assert not Row("logits", 2e-4, 1000.0, 1e-4).passed
    assert Row("logits", 2e-4, 1000.0, 1e-4, of_scale=True).passed
    assert not Row("logits", 9e-5, 0.01, 1e-4, of_scale=True).passed


@pytest.mark.parametrize("limit", [1e-9, None])
@pytest.mark.parametrize("wrong", ["a", "b"])
@pytest.mark.parametrize("side", [0, 1])
def test_nan_never_passes(limit, wrong, side):
    pair = [{"a": np.ones(3), "b": np.ones(3)} for _ in range(2)]
    assert compare_arrays("x", *pair, limit).passed
    pair[side][wrong] = np.array([np.nan, 1, 1])
    assert not compare_arrays("x", *pair, limit).passed


def test_different_names_and_shapes_are_refused():
    with pytest.raises(RuntimeError, match=r"one side lacks \{'a'\}"):
        compare_arrays("x", {"a": np.ones(1)}, {}, None)
    with pytest.raises(RuntimeError, match="the shapes are"):
        compare_arrays("x", np.ones((2, 1)), np.ones(2), None)


class NoTorch:
    """An import finder for which PyTorch is not installed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")


@pytest.mark.parametrize("job", [check_against_torch, check_saliency])
def test_without_pytorch_a_check_says_what_to_install(job, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("experiments.torch_parity") or name == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [NoTorch, *sys.meta_path])
    with pytest.raises(SystemExit, match=r"error: torch is not installed; pip install 'mammo-jax\[torch\]'"):
        job.main([])


def test_other_missing_modules_raise_their_own_error():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), needing_torch():
        import no_such_module  # noqa: F401
