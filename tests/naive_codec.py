"""Slow reference versions of the codec's kernels, written straight from the standard's formulas."""

import numpy as np

ALPHA, BETA, GAMMA, DELTA = -1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971
K = 1.230174104914001


def _mirror(index: int, size: int) -> int:
    """Whole-sample symmetric extension (F-4)."""
    if size == 1:
        return 0
    index %= 2 * (size - 1)
    return min(index, 2 * (size - 1) - index)


def _extended(values: np.ndarray) -> tuple[np.ndarray, int]:
    margin = 8
    size = len(values)
    return np.array([values[_mirror(n, size)] for n in range(-margin, size + margin)]), margin


def _lift(x: np.ndarray, parity: int, weight: float) -> None:
    """x[n] += weight · (x[n - 1] + x[n + 1]) for every n of `parity`; the margin absorbs the ends."""
    positions = np.arange(2 - parity if parity else 2, len(x) - 1, 2)
    x[positions] += weight * (x[positions - 1] + x[positions + 1])


def analyse_97(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F.4.8.2 on one line of float64 samples: its low-pass and high-pass halves."""
    size = len(values)
    if size == 1:
        return values.astype(float), np.empty(0)
    x, margin = _extended(values.astype(float))
    for parity, weight in ((1, ALPHA), (0, BETA), (1, GAMMA), (0, DELTA)):
        _lift(x, parity, weight)
    x = x[margin : margin + size]
    return x[0::2] / K, x[1::2] * K


def synthesise_97(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """F.3.8.2: the inverse of `analyse_97`."""
    size = len(low) + len(high)
    if size == 1:
        return low.astype(float)
    line = np.empty(size)
    line[0::2], line[1::2] = low * K, high / K
    x, margin = _extended(line)
    for parity, weight in ((0, -DELTA), (1, -GAMMA), (0, -BETA), (1, -ALPHA)):
        _lift(x, parity, weight)
    return x[margin : margin + size]


def forward_97(pixels: np.ndarray, levels: int, level_shift: float = 0) -> list[np.ndarray]:
    """Subbands in float64, in the order of the codestream."""
    low = pixels.astype(float) - level_shift
    bands: list[np.ndarray] = []
    for _ in range(levels):
        columns = low.shape[1]
        vertical = [analyse_97(column) for column in low.T]
        halves = []
        for half in range(2):
            block = np.array([pair[half] for pair in vertical]).reshape(columns, -1).T
            split = [analyse_97(row) for row in block]
            halves += [
                np.array([pair[side] for pair in split]).reshape(
                    len(block), (columns + 1) // 2 if side == 0 else columns // 2
                )
                for side in range(2)
            ]
        low = halves[0]
        bands = [*halves[1:], *bands]
    return [low, *bands]


def inverse_97(bands: list[np.ndarray]) -> np.ndarray:
    """Float64 samples from subbands in the order of the codestream."""
    low = bands[0].astype(float)
    for first in range(1, len(bands), 3):
        hl, lh, hh = bands[first : first + 3]
        upper = np.array([synthesise_97(a, b) for a, b in zip(low, hl)])
        columns = upper.shape[1]
        lower = np.array([synthesise_97(a, b) for a, b in zip(lh, hh)]).reshape(len(lh), columns)
        low = np.array([synthesise_97(upper[:, c], lower[:, c]) for c in range(columns)]).T
    return low
