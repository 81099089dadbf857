"""Compare our integrated gradients with captum's and PAIR saliency's, for the same weights, and their speed.

Needs the extra `torch`, and `pip install --no-deps saliency` for PAIR saliency.

Command   python -m experiments.check_saliency
Cost      three and a half minutes on two cores
Result    a line for each comparison, and each implementation's time relative to ours; exits with 1 if a difference is
          out of bounds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tyro

from experiments.torch_parity.parity import needing_torch
from mammo_jax.jobs.run_job import run_job
from mammo_jax.processes import available_cores


@dataclass(frozen=True)
class CheckConfig:
    """Settings of the comparison.

    Attributes
    ----------
    size : int
        Side of an image in pixels; a multiple of 32.
    images, steps : int
        Number of images, and of path points.
    filters : tuple of 3 int
        Filters of the CNN.
    networks : tuple of str
        "CNN", "ResNet18" or both.
    rounds : int
        Number of measurements of each implementation, in turns; the fastest counts.
    """

    size: int = 224
    images: int = 2
    steps: int = 50
    filters: tuple[int, int, int] = (16, 32, 64)
    networks: tuple[str, ...] = ("CNN", "ResNet18")
    rounds: int = 4


def check(config: CheckConfig, _flags: Sequence[str]) -> None:
    """Print every comparison; exit with 1 if a difference is out of bounds."""
    with needing_torch():
        import torch

        from experiments.torch_parity.saliency import compare, compare_speed, make_pairs
    threads = available_cores()
    torch.set_num_threads(threads)
    print(f"{config.images} images of {config.size} px, {config.steps} Gauss-Legendre steps, {threads} threads")
    random = np.random.default_rng(0)
    images = random.normal(size=(config.images, config.size, config.size, 1)).astype(np.float32)
    # Not constant: for equal values the frameworks' max pooling passes the gradient to different pixels.
    baselines = (0.1 * random.normal(size=images.shape) - 2).astype(np.float32)
    within_bounds = True
    for pair in make_pairs(images, config.filters, config.networks):
        within_bounds &= compare(pair, images, baselines, config.steps)
        compare_speed(pair, images, baselines, config.steps, config.rounds)
    if not within_bounds:
        raise SystemExit("error: a difference is out of bounds")


def _parse(flags: list[str]) -> CheckConfig:
    return tyro.cli(CheckConfig, args=flags, description=__doc__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(check, _parse, arguments, networks=True)


if __name__ == "__main__":
    main()
