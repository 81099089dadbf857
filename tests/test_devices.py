"""One device and many give the same training, and the same as plain single-device code."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict
from synthetic_examples import blobs

from mammo_jax.devices import DataParallel, join_processes
from mammo_jax.models import build_model
from mammo_jax.training.loop import train_model
from mammo_jax.training.step import StepInputs, _build_steps
from mammo_jax.training.trained_model import load_model, predict
from mammo_jax.training_config import TrainingConfig

ROWS = 11
RANDOM_CONFIG = TrainingConfig(filters=(4, 8, 8), dropout=0.3, augment=True, weight_decay=0.1)
ACCUMULATING_CONFIG = replace(RANDOM_CONFIG, accumulate=2)
PLAIN_CONFIG = TrainingConfig(filters=(4, 8, 8), dropout=0.0, augment=False, weight_decay=0.1)


def make_batches():
    """Four batches of 11 rows and two rows of padding, so that neither 2 nor 8 devices divide them."""
    random = np.random.default_rng(0)
    for _ in range(4):
        images = random.integers(0, 65536, (ROWS + 2, 24, 24, 1)).astype(np.uint16)
        images[ROWS:] = 0
        weights = np.append(random.uniform(0.5, 2.0, ROWS), [0, 0]).astype(np.float32)
        yield {"image": images, "target": random.integers(0, 2, ROWS + 2).astype(np.float32), "weight": weights}


def train(config, device_count):
    """Four data-parallel steps; everything that comes out of them, by name."""
    steps = _build_steps(config, tuple(jax.local_devices()[:device_count]))
    state = steps.parallel.replicate(jax.device_get(steps.initialise(np.uint32(5), np.zeros((1, 24, 24, 1)))))
    losses = []
    for step, batch in enumerate(make_batches()):
        inputs = StepInputs(np.float32(1e-3), np.uint32(1), np.int32(step))
        state, loss = steps.train(state, steps.parallel.spread(batch), inputs)
        losses.append(float(loss[0]))
    variables = steps.parallel.first(state.variables)
    images = steps.parallel.spread(batch["image"])
    logits = steps.predict(steps.parallel.replicate(variables), images)
    return named(variables, losses, steps.parallel.gather(logits)[:ROWS])


def train_plainly(config):
    """The same with optax's own AdamW, the loss written out, no mapped axis and no padded rows."""
    model = build_model(config)
    variables = _build_steps(config, tuple(jax.local_devices()[:1])).initialise(np.uint32(5), np.zeros((1, 24, 24, 1)))[
        0
    ]
    optimizer = optax.adamw(1e-3, weight_decay=0.1, mask=lambda p: jax.tree.map(lambda v: v.ndim > 1, p))
    state = optimizer.init(variables["params"])

    @jax.jit
    def step(variables, state, images, targets, weights):
        def loss(params):
            logits, changed = model.apply({**variables, "params": params}, images, True, mutable=["batch_stats"])
            p = jax.nn.sigmoid(logits)
            losses = -targets * jnp.log(p) - (1 - targets) * jnp.log(1 - p)
            return jnp.average(losses, weights=weights), changed

        (value, changed), gradients = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        updates, state = optimizer.update(gradients, state, variables["params"])
        return {**changed, "params": optax.apply_updates(variables["params"], updates)}, state, value

    losses = []
    for batch in make_batches():
        images = batch["image"][:ROWS].astype(np.float64)
        images = images - images.mean((1, 2, 3), keepdims=True)
        images = (images / images.std((1, 2, 3), keepdims=True)).astype(np.float32)
        variables, state, value = step(variables, state, images, batch["target"][:ROWS], batch["weight"][:ROWS])
        losses.append(float(value))
    return named(variables, losses, model.apply(variables, images))


def named(variables, losses, logits):
    return {**flatten_dict(variables, sep="/"), "losses": np.array(losses), "logits": np.asarray(logits)}


def assert_close(result, expected):
    assert result.keys() == expected.keys()
    for name in expected:
        scale = np.abs(expected[name]).max() + 1e-2
        np.testing.assert_allclose(result[name] / scale, expected[name] / scale, atol=2e-5, rtol=0, err_msg=name)


def many_devices(count):
    return f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={count}"


def compare_device_counts():
    """Run in a process with eight devices."""
    for config in (RANDOM_CONFIG, ACCUMULATING_CONFIG):
        one = train(config, 1)
        for count in (2, 8):
            assert_close(train(config, count), one)


def test_one_two_and_eight_devices_train_alike_with_dropout_and_augmentation():
    done = subprocess.run(
        [sys.executable, "-c", "import jax, test_devices as t; t.compare_device_counts(); print(jax.device_count())"],
        env={**os.environ, "XLA_FLAGS": many_devices(8)},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["8"]


def test_one_device_trains_like_plain_code_without_padding():
    assert_close(train(PLAIN_CONFIG, 1), train_plainly(PLAIN_CONFIG))


JOINT_CONFIG = TrainingConfig(filters=(4, 8, 8), dropout=0.2, epochs=2, batch_size=13, validation_parts=4)


def train_jointly(place, port, out):
    """Run in each of two processes of three devices: train one network together, and score all images."""
    os.environ |= {"JAX_COORDINATOR_ADDRESS": f"localhost:{port}", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": place}
    join_processes()
    assert (jax.device_count(), jax.local_device_count()) == (6, 3)
    examples = blobs(72, size=(16, 16))
    trained = train_model(examples, 1, JOINT_CONFIG, 0, Path(out) / "trained", checkpoint_seconds=0)
    np.save(Path(out) / f"scores{place}.npy", predict(trained, examples.images))


def test_two_processes_train_one_network_like_one_process(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    logs = [tmp_path / f"log{place}.txt" for place in (0, 1)]
    processes = []
    for place, log in enumerate(logs):
        code = f"import test_devices as t; t.train_jointly('{place}', {port}, {str(tmp_path)!r})"
        environment = {**os.environ, "XLA_FLAGS": many_devices(3)}
        with log.open("w") as errors:  # a file, for a full pipe would hold one process, and the other would wait for it
            command = [sys.executable, "-c", code]
            processes.append(subprocess.Popen(command, env=environment, cwd=Path(__file__).parent, stderr=errors))
    statuses = [process.wait(timeout=300) for process in processes]
    assert statuses == [0, 0], "\n".join(log.read_text()[-2000:] for log in logs)
    examples = blobs(72, size=(16, 16))
    alone = train_model(examples, 1, JOINT_CONFIG, 0, tmp_path / "alone")
    jointly = load_model(tmp_path / "trained")
    assert_close(named(jointly.variables, 0.0, 0.0), named(alone.variables, 0.0, 0.0))
    assert jointly.record["best_epoch"] == alone.record["best_epoch"]
    scores = [np.load(tmp_path / f"scores{place}.npy") for place in (0, 1)]
    np.testing.assert_array_equal(*scores)
    np.testing.assert_allclose(scores[0], predict(alone, examples.images), atol=1e-2)


@pytest.mark.parametrize("variables", [{}, {"JAX_PROCESS_ID": "first"}])
def test_processes_that_nobody_named_cannot_join(variables):
    """In a process of its own: whoever has used JAX cannot join any more."""
    names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    done = subprocess.run(
        [sys.executable, "-c", "from mammo_jax.devices import join_processes; join_processes()"],
        env={name: value for name, value in os.environ.items() if name not in names} | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mammo_jax.training_config.TrainingError: distributed: ")
    assert all(name in last for name in names)


class NoBatchNorm(nn.Module):
    @nn.compact
    def __call__(self, images, train=False, mask=None):
        return nn.Dense(1)(nn.relu(nn.Conv(4, (5, 5))(images)).max((1, 2)))[:, 0]


def test_accumulation_changes_nothing_without_batch_statistics():
    config = replace(PLAIN_CONFIG, model=f"{__name__}:NoBatchNorm")
    expected = train(config, 1)
    for parts in (2, 3):
        result = train(replace(config, accumulate=parts), 1)
        for name in expected:
            np.testing.assert_allclose(result[name], expected[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_accumulation_saves_memory(monkeypatch):
    sizes = []
    parallel = DataParallel.parallel

    def measured(self, step, in_axes, **options):
        compiled = parallel(self, step, in_axes, **options)

        def call(*arguments):
            memory = compiled.lower(*arguments).compile().memory_analysis()
            sizes[-1] = max(sizes[-1], memory.temp_size_in_bytes)
            return compiled(*arguments)

        return call

    monkeypatch.setattr(DataParallel, "parallel", measured)
    for parts in (1, 4):
        sizes.append(0)
        config = replace(PLAIN_CONFIG, accumulate=parts, weight_decay=0.11)
        steps = _build_steps(config, tuple(jax.local_devices()[:1]))
        images = np.zeros((32, 64, 64, 1), np.uint16)
        state = steps.parallel.replicate(jax.device_get(steps.initialise(np.uint32(5), images[:1])))
        batch = {"image": images, "target": np.zeros(32, np.float32), "weight": np.ones(32, np.float32)}
        steps.train(state, steps.parallel.spread(batch), StepInputs(np.float32(1e-3), np.uint32(1), np.int32(0)))
    assert 0 < sizes[1] < 0.5 * sizes[0], sizes


def test_bfloat16_trains_near_to_float32_and_keeps_float32_weights():
    expected = train(PLAIN_CONFIG, 1)
    result = train(replace(PLAIN_CONFIG, compute="bfloat16"), 1)
    assert all(values.dtype == expected[name].dtype for name, values in result.items())
    np.testing.assert_allclose(result["losses"], expected["losses"], rtol=0.05)
    assert not np.array_equal(result["losses"], expected["losses"])


def test_the_backbone_learns_at_its_own_rate():
    start = _build_steps(PLAIN_CONFIG, tuple(jax.local_devices()[:1])).initialise(
        np.uint32(5), np.zeros((1, 24, 24, 1))
    )
    start = flatten_dict(start.variables, sep="/")
    frozen = train(replace(PLAIN_CONFIG, backbone_learning_rate=0.0), 1)
    for name, before in start.items():
        moved = not np.array_equal(frozen[name], before)
        assert moved == ("Dense" in name or "batch_stats" in name), name


def test_every_process_has_its_rows_and_together_all():
    class Device:
        def __init__(self, process_index):
            self.process_index = process_index

    parallel = DataParallel([Device(process) for process in (0, 0, 1, 1)], parts=2)
    assert parallel.rows(13) == range(8)
    parallel.local = parallel.devices[2:]
    assert parallel.rows(13) == range(8, 16)


def test_spread_and_gather_are_inverse_and_pad_with_zeros():
    parallel = DataParallel(jax.local_devices()[:1] * 4)
    rows = np.arange(30).reshape(10, 3)
    spread = parallel.spread({"rows": rows})["rows"]
    assert spread.shape == (4, 3, 3)
    np.testing.assert_array_equal(parallel.gather(spread)[:10], rows)
    assert not parallel.gather(spread)[10:].any()


def test_first_gives_back_what_replicate_took():
    parallel = DataParallel()
    tree = {"a": np.arange(6.0, dtype=np.float32).reshape(2, 3), "b": (np.int32(4), optax.EmptyState())}
    back = parallel.first(parallel.replicate(tree))
    jax.tree.map(np.testing.assert_array_equal, back, tree)
