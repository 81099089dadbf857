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


# The MQ decoder (C.3), as the flow charts have it.


def mq_decode(segment: bytes, contexts: list[int]) -> list[int]:
    """Decode one decision for each of `contexts`; past the end of `segment` there are ones (C.3.4)."""
    from codec.mq_coder import INITIAL_STATES, NEXT_LPS, NEXT_MPS, QE, SWITCH_MPS

    data = bytes(segment) + b"\xff\xff"
    states, mps = [int(state) for state in INITIAL_STATES], [0] * len(INITIAL_STATES)
    bp = ct = 0
    c = data[0] << 16

    def byte_in() -> None:
        nonlocal bp, c, ct
        if data[bp] == 0xFF:
            if data[bp + 1] > 0x8F:
                c, ct = c + 0xFF00, 8
            else:
                bp += 1
                c, ct = c + (data[bp] << 9), 7
        else:
            bp += 1
            c, ct = c + (data[bp] << 8), 8

    byte_in()
    c, ct, a = c << 7, ct - 7, 0x8000
    decisions = []
    for context in contexts:
        qe = int(QE[states[context]])
        a -= qe
        if (c >> 16) < qe:
            likely = a < qe
            a = qe
        else:
            c -= qe << 16
            likely = a >= 0x8000 or a >= qe
            if a >= 0x8000:
                decisions.append(mps[context])
                continue
        decisions.append(mps[context] if likely else 1 - mps[context])
        if likely:
            states[context] = int(NEXT_MPS[states[context]])
        else:
            mps[context] ^= int(SWITCH_MPS[states[context]])
            states[context] = int(NEXT_LPS[states[context]])
        while a < 0x8000:
            if ct == 0:
                byte_in()
            a, c, ct = a << 1, (c << 1) & 0xFFFFFFFF, ct - 1
    return decisions


# Packet headers (B.10), read bit by bit.


class NaiveHeaderReader:
    """Reads one packet header of a one-layer codestream."""

    def __init__(self, data: bytes):
        self.data, self.position, self.room, self.byte = data, -1, 0, 0

    def bit(self) -> int:
        if self.room == 0:
            self.room = 7 if self.byte == 0xFF else 8
            self.position += 1
            self.byte = self.data[self.position]
        self.room -= 1
        return (self.byte >> self.room) & 1

    def bits(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | self.bit()
        return value

    def end(self) -> int:
        return self.position + (2 if self.byte == 0xFF else 1)

    def pass_count(self) -> int:
        for prefix, width in ((1, 0), (2, 0), (3, 2), (6, 5), (37, 7)):
            if width == 0:
                if self.bit() == 0:
                    return prefix
                continue
            value = self.bits(width)
            if value < (1 << width) - 1 or width == 7:
                return prefix + value
        raise AssertionError

    def tag_tree(self, rows: int, columns: int) -> "NaiveTagTree":
        return NaiveTagTree(self, rows, columns)

    def read(self, grids: list[tuple[int, int]]) -> list[list[tuple[int, int, int]]]:
        """For every grid of code-blocks (passes, missing bit-planes, bytes) of each block, zeros where not included."""
        if self.bit() == 0:
            return [[(0, 0, 0)] * (rows * columns) for rows, columns in grids]
        result = []
        for rows, columns in grids:
            inclusion, planes = self.tag_tree(rows, columns), self.tag_tree(rows, columns)
            blocks = []
            for row in range(rows):
                for column in range(columns):
                    if not inclusion.below(row, column, 1):
                        blocks.append((0, 0, 0))
                        continue
                    missing = 0
                    while not planes.below(row, column, missing + 1):
                        missing += 1
                    passes = self.pass_count()
                    bits = 3
                    while self.bit():
                        bits += 1
                    blocks.append((passes, missing, self.bits(bits + passes.bit_length() - 1)))
            result.append(blocks)
        return result


class NaiveTagTree:
    """B.10.2, with what is known of each node kept in dictionaries."""

    def __init__(self, reader: NaiveHeaderReader, rows: int, columns: int):
        self.reader, self.low, self.known = reader, {}, {}
        self.depth = max(rows - 1, columns - 1, 0).bit_length()

    def below(self, row: int, column: int, threshold: int) -> bool:
        low = 0
        for level in range(self.depth, -1, -1):
            node = (level, row >> level, column >> level)
            low = max(low, self.low.get(node, 0))
            while low < threshold and not self.known.get(node):
                if self.reader.bit():
                    self.known[node] = True
                else:
                    low += 1
            self.low[node] = low
        return bool(self.known.get(node)) and low < threshold
