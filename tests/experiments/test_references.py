"""JAX compared with stored results of PyTorch (`check_against_torch --write-references`), all in float64."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.torch_parity.parity import (
    CASES,
    case_batches,
    case_variables,
    digest,
    jax_gradients,
    jax_logits,
    jax_trajectory,
    noise,
)

REFERENCES = Path(__file__).parent / "references"


@pytest.fixture(params=list(CASES))
def case(request):
    return CASES[request.param]


@pytest.fixture
def reference(case):
    return json.loads((REFERENCES / f"{case.name}.json").read_text())


def assert_digests(arrays, expected):
    digests = digest(arrays)
    assert digests.keys() == expected.keys()
    for name, numbers in expected.items():
        np.testing.assert_allclose(digests[name], numbers, rtol=1e-8, atol=1e-9, err_msg=name)


def test_logits(case, reference):
    np.testing.assert_allclose(jax_logits(case, np.float64), reference["logits"], rtol=0, atol=1e-9)
    single = jax_logits(case, np.float32)
    np.testing.assert_allclose(single, reference["logits"], rtol=0, atol=1e-4 * np.abs(reference["logits"]).max())


def test_gradients_and_batch_statistics(case, reference):
    gradients, statistics = jax_gradients(case, np.float64)
    assert_digests(gradients, reference["gradients"])
    assert_digests(statistics, reference["statistics"])


@pytest.mark.parametrize("optimizer", ["sgd", pytest.param("adamw", marks=pytest.mark.slow)])
def test_twenty_steps_of_resnet18(optimizer):
    check_twenty_steps("resnet18", optimizer)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_twenty_steps_of_the_cnn(optimizer):
    check_twenty_steps("cnn", optimizer)


def check_twenty_steps(name, optimizer):
    case, reference = CASES[name], json.loads((REFERENCES / f"{name}.json").read_text())
    trajectory = jax_trajectory(case, optimizer, np.float64)
    np.testing.assert_allclose(trajectory.losses, reference[optimizer]["losses"], rtol=0, atol=1e-9)
    assert_digests(trajectory.state, reference[optimizer]["state"])


def test_the_case_is_not_trivial(case, reference):
    losses = reference["adamw"]["losses"]
    assert len(losses) == 20
    assert np.ptp(losses) > 0.05
    assert np.ptp(reference["logits"]) > 1e-3
    batch = next(case_batches(case))
    assert 0 < batch["target"].sum() < case.batch
    kernel = case_variables(case, np.float64)["params"]["conv1" if case.name == "resnet18" else "Conv_0"]["kernel"]
    assert abs(kernel.mean()) < 0.1 * kernel.std()


def test_the_noise_is_reproducible():
    values = noise("a", 10_000)
    np.testing.assert_allclose(values[:3], [0.24220099, 0.64079894, 0.1692275], rtol=0, atol=1e-8)
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 3**-0.5) < 0.01
