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


# Block coding (Annex D), coefficient by coefficient, contexts counted out from the tables' own words.


class NaiveBlock:
    """A code-block of signed integers, coded bit-plane by bit-plane; every decision as (context, bit)."""

    def __init__(self, values: np.ndarray, orientation: str):
        self.magnitudes, self.negative = np.abs(values), values < 0
        self.orientation = orientation
        self.rows, self.columns = values.shape
        self.significant = np.zeros(values.shape, bool)
        self.refined = np.zeros(values.shape, bool)
        self.coded = np.zeros(values.shape, bool)
        self.decisions: list[tuple[int, int]] = []

    def scan(self):
        for top in range(0, self.rows, 4):
            for column in range(self.columns):
                for row in range(top, min(top + 4, self.rows)):
                    yield row, column

    def neighbour(self, row: int, column: int) -> int:
        """1, -1 or 0: significant and positive, significant and negative, or neither or outside."""
        if not (0 <= row < self.rows and 0 <= column < self.columns) or not self.significant[row, column]:
            return 0
        return -1 if self.negative[row, column] else 1

    def counts(self, row: int, column: int) -> tuple[int, int, int]:
        horizontal = sum(abs(self.neighbour(row, column + d)) for d in (-1, 1))
        vertical = sum(abs(self.neighbour(row + d, column)) for d in (-1, 1))
        diagonal = sum(abs(self.neighbour(row + d, column + e)) for d in (-1, 1) for e in (-1, 1))
        return horizontal, vertical, diagonal

    def zero_context(self, row: int, column: int) -> int:
        h, v, d = self.counts(row, column)
        if self.orientation == "HH":
            rules = [(d >= 3, 8), (d == 2 and h + v >= 1, 7), (d == 2, 6), (d == 1 and h + v >= 2, 5),
                     (d == 1 and h + v == 1, 4), (d == 1, 3), (h + v >= 2, 2), (h + v == 1, 1)]  # fmt: skip
        else:
            if self.orientation == "HL":
                h, v = v, h
            rules = [(h == 2, 8), (h == 1 and v >= 1, 7), (h == 1 and d >= 1, 6), (h == 1, 5),
                     (v == 2, 4), (v == 1, 3), (d >= 2, 2), (d == 1, 1)]  # fmt: skip
        return next((context for rule, context in rules if rule), 0)

    def code_sign(self, row: int, column: int) -> None:
        h = np.clip(self.neighbour(row, column - 1) + self.neighbour(row, column + 1), -1, 1)
        v = np.clip(self.neighbour(row - 1, column) + self.neighbour(row + 1, column), -1, 1)
        context, flip = {
            (1, 1): (13, 0), (1, 0): (12, 0), (1, -1): (11, 0), (0, 1): (10, 0), (0, 0): (9, 0),
            (0, -1): (10, 1), (-1, 1): (11, 1), (-1, 0): (12, 1), (-1, -1): (13, 1),
        }[int(h), int(v)]  # fmt: skip
        self.decisions.append((context, int(self.negative[row, column]) ^ flip))
        self.significant[row, column] = True

    def bit(self, row: int, column: int, plane: int) -> int:
        return int(self.magnitudes[row, column] >> plane) & 1

    def code_zero(self, row: int, column: int, plane: int) -> None:
        self.decisions.append((self.zero_context(row, column), self.bit(row, column, plane)))
        if self.bit(row, column, plane):
            self.code_sign(row, column)

    def significance_pass(self, plane: int) -> None:
        for row, column in self.scan():
            if not self.significant[row, column] and any(self.counts(row, column)):
                self.code_zero(row, column, plane)
                self.coded[row, column] = True

    def refinement_pass(self, plane: int) -> None:
        for row, column in self.scan():
            if self.significant[row, column] and not self.coded[row, column]:
                context = 16 if self.refined[row, column] else 15 if any(self.counts(row, column)) else 14
                self.decisions.append((context, self.bit(row, column, plane)))
                self.refined[row, column] = True

    def cleanup_pass(self, plane: int) -> None:
        for top in range(0, self.rows, 4):
            for column in range(self.columns):
                rows = list(range(top, min(top + 4, self.rows)))
                fresh = len(rows) == 4 and not any(
                    self.significant[row, column] or self.coded[row, column] or any(self.counts(row, column))
                    for row in rows
                )
                if fresh:
                    ones = [row for row in rows if self.bit(row, column, plane)]
                    self.decisions.append((17, int(bool(ones))))
                    if not ones:
                        continue
                    run = ones[0] - top
                    self.decisions += [(18, run >> 1), (18, run & 1)]
                    self.code_sign(ones[0], column)
                    rows = rows[run + 1 :]
                for row in rows:
                    if not self.significant[row, column] and not self.coded[row, column]:
                        self.code_zero(row, column, plane)
        self.coded[:] = False

    def passes(self) -> list[list[tuple[int, int]]]:
        """Decisions of every pass from the highest bit-plane that is not empty."""
        result = []
        planes = int(self.magnitudes.max()).bit_length()
        for plane in range(planes - 1, -1, -1):
            kinds = [self.significance_pass, self.refinement_pass, self.cleanup_pass]
            for kind in kinds if plane < planes - 1 else kinds[2:]:
                self.decisions = []
                kind(plane)
                result.append(self.decisions)
        return result


def reconstructed_magnitudes(magnitudes: np.ndarray, values: NaiveBlock, passes: int) -> np.ndarray:
    """Magnitudes (in steps) that a decoder gives after `passes` passes, each in the middle of its interval."""
    planes = int(values.magnitudes.max()).bit_length()
    known = np.full(values.magnitudes.shape, planes)
    block = NaiveBlock(np.where(values.negative, -values.magnitudes, values.magnitudes), values.orientation)
    for number in range(passes):
        plane, kind = planes - 1 - (number + 2) // 3, (number + 2) % 3
        before = block.significant.copy()
        (block.significance_pass, block.refinement_pass, block.cleanup_pass)[kind](plane)
        if kind == 1:
            known[before & (known > plane) & ~block.coded] = plane
        else:
            known[block.significant & ~before] = plane
    interval = 1 << known
    return np.where(block.significant, (magnitudes // interval + 0.5) * interval, 0)
