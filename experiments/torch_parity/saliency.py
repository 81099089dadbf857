"""Integrated gradients of the same networks: ours, captum's and PAIR saliency's."""

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
"""Largest allowed difference, relative to the largest attribution."""
CAPTUM_CHUNKS = (None, 4, 10)


@dataclass(frozen=True)
class Pair:
    """One network in both frameworks, with the same weights.

    Attributes
    ----------
    name : str
    module, variables
        In Flax.
    torch_module : torch.nn.Module
        In PyTorch, float32.
    """

    name: str
    module: nn.Module
    variables: Any
    torch_module: torch.nn.Module


def make_pairs(
    images: np.ndarray, filters: tuple[int, int, int], networks: Sequence[str] = ("CNN", "ResNet18")
) -> list[Pair]:
    """Draw weights for each network, with running statistics of the images, and copy them to PyTorch."""
    pairs = []
    implementations: list[tuple[str, Any, torch.nn.Module]] = [
        ("CNN", CNN(filters=filters), TorchCNN(filters)),
        ("ResNet18", ResNet18(), TorchResNet18()),
    ]
    for name, module, torch_module in implementations:
        if name not in networks:
            continue
        variables = jax.jit(module.init)(jax.random.key(0), images)
        for _ in range(20):
            _, changed = module.apply(variables, images, train=True, mutable=["batch_stats"])
            variables = {**variables, **changed}
        variables = jax.device_get(variables)
        state = {key: torch.tensor(value) for key, value in to_torch(variables).items()}
        missing = torch_module.load_state_dict(state, strict=False)
        if missing.unexpected_keys or any("num_batches_tracked" not in key for key in missing.missing_keys):
            raise SystemExit(f"error: {name}: the weights do not fit the PyTorch module: {missing}")
        pairs.append(Pair(name, module, variables, torch_module.eval().requires_grad_(False)))
    return pairs


def attributions(
    pair: Pair, images: np.ndarray, baselines: np.ndarray, steps: int, rule: Any = "gauss-legendre"
) -> np.ndarray:
    """Compute our attributions [n, rows, columns], without doubling the steps."""
    variables = jax.tree.map(lambda leaf: leaf.astype(images.dtype), pair.variables)
    return integrated_gradients(pair.module, variables, images, baselines, rule=rule, steps=steps, max_steps=steps).maps


def captum_attributions(
    pair: Pair, images: np.ndarray, baselines: np.ndarray, steps: int, chunk: int | None, channels_last: bool = False
) -> np.ndarray:
    """Compute captum's attributions [n, rows, columns]."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    dtype = torch.float64 if images.dtype == np.float64 else torch.float32
    module: Any = pair.torch_module  # the stub of `to` leaves memory_format out
    torch_module = module.to(dtype=dtype, memory_format=layout)
    pixels, start = (torch.tensor(a).permute(0, 3, 1, 2).contiguous(memory_format=layout) for a in (images, baselines))
    maps = IntegratedGradients(torch_module).attribute(
        pixels, start, n_steps=steps, method="gausslegendre", internal_batch_size=chunk
    )
    return maps.numpy()[:, 0]


def pair_saliency_attributions(pair: Pair, image: np.ndarray, baseline: np.ndarray, steps: int) -> np.ndarray:
    """Compute PAIR saliency's attributions [rows, columns]: the mean of the gradients at `steps` points, with ends."""
    from saliency.core import IntegratedGradients as PairIntegratedGradients
    from saliency.core.base import INPUT_OUTPUT_GRADIENTS

    module: Any = pair.torch_module  # the stub of `to` leaves memory_format out
    torch_module = module.to(dtype=torch.float64, memory_format=torch.contiguous_format)

    def gradients(points: np.ndarray, call_model_args: Any = None, expected_keys: Any = None) -> dict[str, np.ndarray]:
        del call_model_args, expected_keys
        pixels = torch.tensor(points).permute(0, 3, 1, 2).requires_grad_()
        (slope,) = torch.autograd.grad(torch_module(pixels).sum(), pixels)
        return {INPUT_OUTPUT_GRADIENTS: slope.permute(0, 2, 3, 1).numpy()}

    method = PairIntegratedGradients()
    return method.GetMask(image, gradients, x_baseline=baseline, x_steps=steps, batch_size=10)[..., 0]


def attributions_with_pairs_rule(pair: Pair, image: np.ndarray, baseline: np.ndarray, steps: int) -> np.ndarray:
    """Compute our attributions with PAIR saliency's rule: the trapezoid rule, but with full weight at the ends."""
    variables = jax.tree.map(lambda leaf: leaf.astype(np.float64), pair.variables)
    slope = jax.jit(jax.grad(lambda x, variables: pair.module.apply(variables, x[None])[0]))
    ends = sum(np.asarray(slope(end, variables)) for end in (image, baseline)) / 2
    interior = attributions(pair, image[None], baseline[None], steps, "trapezoid")[0] * (steps - 1)
    return (interior + ((image - baseline) * ends)[..., 0]) / steps


def compare(pair: Pair, images: np.ndarray, baselines: np.ndarray, steps: int) -> bool:
    """Print the differences of one network in both precisions; return whether they are within the bounds."""
    within_bounds = True
    exact = own = np.zeros(())
    for dtype, bound in BOUNDS.items():
        with jax.enable_x64(dtype is np.float64):
            typed = (images.astype(dtype), baselines.astype(dtype))
            own = attributions(pair, *typed, steps)
            references = {"captum": (own, captum_attributions(pair, *typed, steps, 10))}
            if dtype is np.float64 and _has_pair_saliency():
                first = (typed[0][0], typed[1][0], steps)
                references["PAIR saliency"] = (
                    attributions_with_pairs_rule(pair, *first),
                    pair_saliency_attributions(pair, *first),
                )
        for name, (ours, theirs) in references.items():
            difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
            within_bounds &= difference <= bound
            exact = ours if name == "captum" and dtype is np.float64 else exact
            print(f"{pair.name}, {dtype.__name__}, {name}: differs by {difference:.1e} of the largest attribution")
    scale = np.abs(exact).max()  # after the loop `own` and captum's are float32
    error, captum_error = (float(np.abs(maps - exact).max() / scale) for maps in references["captum"])
    print(f"{pair.name}: differs from the float64 map by {error:.1e} (ours in float32), {captum_error:.1e} (captum's)")
    return within_bounds


def _has_pair_saliency() -> bool:
    try:
        import saliency.core  # noqa: F401
    except ImportError:
        print("PAIR saliency is not installed: pip install --no-deps saliency")
        return False
    return True


def compare_speed(pair: Pair, images: np.ndarray, baselines: np.ndarray, steps: int, rounds: int) -> None:
    """Print the fastest time of each implementation, measured in turns."""
    variants: dict[str, Callable[[], np.ndarray]] = {"ours": partial(attributions, pair, images, baselines, steps)}
    for channels_last in (False, True):
        for chunk in CAPTUM_CHUNKS:
            name = f"captum, {'channels last' if channels_last else 'default layout'}, internal_batch_size {chunk}"
            variants[name] = partial(captum_attributions, pair, images, baselines, steps, chunk, channels_last)
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(1 + rounds):
        for name, variant in variants.items():
            start = time.perf_counter()
            variant()
            times[name].append(time.perf_counter() - start)
    fastest = {name: min(seconds[1:]) for name, seconds in times.items()}  # the first round compiles
    for name, seconds in fastest.items():
        print(f"{pair.name}: {seconds:6.2f} s  {seconds / fastest['ours']:5.2f}× ours  {name}")
