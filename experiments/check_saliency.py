"""Our integrated gradients beside captum's and PAIR saliency's, on the same weights, and their time in the same run.

Needs the extra `torch`, and `pip install --no-deps saliency` for the second oracle.

Command   python -m experiments.check_saliency
Cost      three and a half minutes on two cores
Result    a line for each comparison, and each way's time over ours; exits with 1 where a difference is out of bounds
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tyro

from experiments.torch_parity.parity import needing_torch
from mammo_jax.runtime import set_up


@dataclass(frozen=True)
class CheckConfig:
    """What is compared.

    Attributes
    ----------
    size : int
        Pixels of an image's side; a multiple of 32.
    images, steps : int
    filters : tuple of 3 int
        Of the CNN.
    networks : tuple of str
        Of "CNN" and "ResNet18".
    rounds : int
        Each way is timed this often, one after the other; the fastest counts.
    """

    size: int = 224
    images: int = 2
    steps: int = 50
    filters: tuple[int, int, int] = (16, 32, 64)
    networks: tuple[str, ...] = ("CNN", "ResNet18")
    rounds: int = 4


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job; exit with 1 where a difference is out of bounds."""
    given = sys.argv[1:] if arguments is None else arguments
    config = tyro.cli(CheckConfig, args=given, description=__doc__)
    set_up(networks=True)
    with needing_torch():
        import torch

        from experiments.torch_parity.saliency import compare, make_pairs, race
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    print(f"{config.images} images of {config.size} px, {config.steps} Gauss-Legendre steps, {threads} threads")
    random = np.random.default_rng(0)
    images = random.normal(size=(config.images, config.size, config.size, 1)).astype(np.float32)
    # Not constant: where a window holds one value only, frameworks differ in which pixel max pooling credits.
    baselines = (0.1 * random.normal(size=images.shape) - 2).astype(np.float32)
    within = True
    for pair in make_pairs(images, config.filters, config.networks):
        within &= compare(pair, images, baselines, config.steps)
        race(pair, images, baselines, config.steps, config.rounds)
    if not within:
        raise SystemExit("error: a difference is out of bounds")


if __name__ == "__main__":
    main()
