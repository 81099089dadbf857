"""Integrated gradients of the same networks by us, by captum and by PAIR saliency."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
import torch
from captum.attr import IntegratedGradients
from flax import linen as nn

from experiments.torch_parity.models import TorchCNN, TorchResNet18
from mammo_jax.models.cnn import CNN
from mammo_jax.models.pretrained import to_torch
from mammo_jax.models.resnet import ResNet18
from mammo_jax.saliency.integrated_gradients import integrated_gradients

BOUNDS = {np.float64: 1e-6, np.float32: 5e-3}
"""Largest difference allowed, as a part of the largest attribution."""
CAPTUM_CHUNKS = (None, 4, 10)


@dataclass(frozen=True)
class Pair:
    """One network twice, with the same weights.

    Attributes
    ----------
    name : str
    module, variables
        In Flax.
    twin : torch.nn.Module
        In PyTorch, float32.
    """

    name: str
    module: nn.Module
    variables: Any
    twin: torch.nn.Module


def make_pairs(
    images: np.ndarray, filters: tuple[int, int, int], networks: Sequence[str] = ("CNN", "ResNet18")
) -> list[Pair]:
    """Draw weights for each network, with running statistics of a real batch, and carry them over to PyTorch."""
    pairs = []
    twins: list[tuple[str, Any, torch.nn.Module]] = [
        ("CNN", CNN(filters=filters), TorchCNN(filters)),
        ("ResNet18", ResNet18(), TorchResNet18()),
    ]
    for name, module, twin in twins:
        if name not in networks:
            continue
        variables = jax.jit(module.init)(jax.random.key(0), images)
        for _ in range(20):
            _, changed = module.apply(variables, images, train=True, mutable=["batch_stats"])
            variables = {**variables, **changed}
        variables = jax.device_get(variables)
        state = {key: torch.tensor(value) for key, value in to_torch(variables).items()}
        missing = twin.load_state_dict(state, strict=False)
        if missing.unexpected_keys or any("num_batches_tracked" not in key for key in missing.missing_keys):
            raise SystemExit(f"error: {name}: the weights do not fit the twin: {missing}")
        pairs.append(Pair(name, module, variables, twin.eval().requires_grad_(False)))
    return pairs


def attributions(
    pair: Pair, images: np.ndarray, baselines: np.ndarray, steps: int, rule: Any = "gauss-legendre"
) -> np.ndarray:
    """Attributions [n, rows, columns] of our own, without doubling the steps."""
    variables = jax.tree.map(lambda leaf: leaf.astype(images.dtype), pair.variables)
    return integrated_gradients(pair.module, variables, images, baselines, rule=rule, steps=steps, max_steps=steps).maps


def captums(
    pair: Pair, images: np.ndarray, baselines: np.ndarray, steps: int, chunk: int | None, channels_last: bool = False
) -> np.ndarray:
    """Attributions [n, rows, columns] of captum."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    dtype = torch.float64 if images.dtype == np.float64 else torch.float32
    twin = pair.twin.to(dtype=dtype, memory_format=layout)
    pixels, start = (torch.tensor(a).permute(0, 3, 1, 2).contiguous(memory_format=layout) for a in (images, baselines))
    found = IntegratedGradients(twin).attribute(
        pixels, start, n_steps=steps, method="gausslegendre", internal_batch_size=chunk
    )
    return found.numpy()[:, 0]


def pairs_saliency(pair: Pair, image: np.ndarray, baseline: np.ndarray, steps: int) -> np.ndarray:
    """Attributions [rows, columns] of PAIR saliency, a plain mean of the gradients at `steps` points, ends included."""
    from saliency.core import IntegratedGradients as PairIntegratedGradients
    from saliency.core.base import INPUT_OUTPUT_GRADIENTS

    twin = pair.twin.to(dtype=torch.float64, memory_format=torch.contiguous_format)

    def gradients(points: np.ndarray, call_model_args: Any = None, expected_keys: Any = None) -> dict[str, np.ndarray]:
        del call_model_args, expected_keys
        pixels = torch.tensor(points).permute(0, 3, 1, 2).requires_grad_()
        (slope,) = torch.autograd.grad(twin(pixels).sum(), pixels)
        return {INPUT_OUTPUT_GRADIENTS: slope.permute(0, 2, 3, 1).numpy()}

    method = PairIntegratedGradients()
    return method.GetMask(image, gradients, x_baseline=baseline, x_steps=steps, batch_size=10)[..., 0]


def plain_mean(pair: Pair, image: np.ndarray, baseline: np.ndarray, steps: int) -> np.ndarray:
    """Our attributions in PAIR saliency's rule: the trapezoid rule with the ends at full weight, in its average."""
    variables = jax.tree.map(lambda leaf: leaf.astype(np.float64), pair.variables)
    slope = jax.jit(jax.grad(lambda x, variables: pair.module.apply(variables, x[None])[0]))
    ends = sum(np.asarray(slope(end, variables)) for end in (image, baseline)) / 2
    interior = attributions(pair, image[None], baseline[None], steps, "trapezoid")[0] * (steps - 1)
    return (interior + ((image - baseline) * ends)[..., 0]) / steps


def compare(pair: Pair, images: np.ndarray, baselines: np.ndarray, steps: int) -> bool:
    """Print the differences of one network in both precisions; return whether they are within the bounds."""
    within = True
    exact = own = np.zeros(())
    for dtype, bound in BOUNDS.items():
        with jax.enable_x64(dtype is np.float64):
            typed = (images.astype(dtype), baselines.astype(dtype))
            own = attributions(pair, *typed, steps)
            references = {"captum": (own, captums(pair, *typed, steps, 10))}
            if dtype is np.float64 and _has_pair_saliency():
                first = (typed[0][0], typed[1][0], steps)
                references["PAIR saliency"] = (plain_mean(pair, *first), pairs_saliency(pair, *first))
        for name, (mine, theirs) in references.items():
            difference = float(np.abs(mine - theirs).max() / np.abs(theirs).max())
            within &= difference <= bound
            exact = mine if name == "captum" and dtype is np.float64 else exact
            print(f"{pair.name}, {dtype.__name__}, {name}: differs by {difference:.1e} of the largest attribution")
    scale = np.abs(exact).max()  # after the loop `own` and captum's are float32
    off, off_captum = (float(np.abs(maps - exact).max() / scale) for maps in references["captum"])
    print(f"{pair.name}: off the float64 map by {off:.1e} (ours in float32) and {off_captum:.1e} (captum's)")
    return within


def _has_pair_saliency() -> bool:
    try:
        import saliency.core  # noqa: F401
    except ImportError:
        print("PAIR saliency is not installed: pip install --no-deps saliency")
        return False
    return True


def race(pair: Pair, images: np.ndarray, baselines: np.ndarray, steps: int, rounds: int) -> None:
    """Print the fastest time of each way, all in turns."""
    ways: dict[str, Callable[[], np.ndarray]] = {"ours": partial(attributions, pair, images, baselines, steps)}
    for layout in (False, True):
        for chunk in CAPTUM_CHUNKS:
            name = f"captum, {'channels last' if layout else 'its usual layout'}, internal_batch_size {chunk}"
            ways[name] = partial(captums, pair, images, baselines, steps, chunk, layout)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(1 + rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    fastest = {name: min(found[1:]) for name, found in times.items()}  # the first round compiles
    for name, seconds in fastest.items():
        print(f"{pair.name}: {seconds:6.2f} s  {seconds / fastest['ours']:5.2f}× ours  {name}")
