"""Slow decoder references, written straight from the flow charts, tables and equations of T.800."""

import numpy as np

from codec.mq_tables import NEXT_LPS, NEXT_MPS, QE, SWITCH_MPS

BYPASS, RESET, TERMINATE, CAUSAL, SEGMENTATION = 1, 2, 4, 8, 32


class MQDecoder:
    """Annex C.3, figures C.14 to C.20; past the end it reads bytes 0xFF."""

    def __init__(self, data: bytes):
        self.data, self.position = data, 0
        self.c = self._byte(0) << 16
        self.ct = 0
        self._byte_in()
        self.c <<= 7
        self.ct -= 7
        self.a = 0x8000

    def _byte(self, position: int) -> int:
        return self.data[position] if position < len(self.data) else 0xFF

    def _byte_in(self) -> None:
        if self._byte(self.position) == 0xFF:
            following = self._byte(self.position + 1)
            if following > 0x8F:
                self.c += 0xFF00
                self.ct = 8
            else:
                self.position += 1
                self.c += following << 9
                self.ct = 7
        else:
            self.position += 1
            self.c += self._byte(self.position) << 8
            self.ct = 8

    def _renormalise(self) -> None:
        while True:
            if self.ct == 0:
                self._byte_in()
            self.a <<= 1
            self.c = (self.c << 1) & 0xFFFFFFFF
            self.ct -= 1
            if self.a & 0x8000:
                return

    def decode(self, contexts: dict, k: int) -> int:
        """One symbol; `contexts` maps a context's number to [state, mps]."""
        state, mps = contexts[k]
        qe = int(QE[state])
        self.a -= qe
        if (self.c >> 16) < qe:
            more_probable = self.a < qe
            self.a = qe
        else:
            self.c -= qe << 16
            if self.a & 0x8000:
                return mps
            more_probable = self.a >= qe
        self._renormalise()
        if more_probable:
            contexts[k] = [int(NEXT_MPS[state]), mps]
            return mps
        contexts[k] = [int(NEXT_LPS[state]), mps ^ int(SWITCH_MPS[state])]
        return 1 - mps


class RawDecoder:
    """Bits of a bypassed segment (D.6): after a byte 0xFF the first bit is left out; ones past the end."""

    def __init__(self, data: bytes):
        bits = []
        for previous, byte in zip(b"\0" + data, data):
            bits += [(byte >> n) & 1 for n in range(6 if previous == 0xFF else 7, -1, -1)]
        self.bits = iter(bits)

    def bit(self) -> int:
        return next(self.bits, 1)


def initial_contexts() -> dict:
    """Table D.7."""
    return {k: [{0: 4, 17: 3, 18: 46}.get(k, 0), 0] for k in range(19)}


class BlockDecoder:
    """Annex D on one code-block; `magnitude` is held in halves, with the bit below the last one set."""

    def __init__(self, width: int, height: int, planes: int, orientation: str, style: int):
        self.width, self.height, self.orientation, self.style = width, height, orientation, style
        self.plane, self.kind, self.passes = planes - 1, 2, 0
        self.magnitude = np.zeros((height, width), dtype=int)
        self.negative = np.zeros((height, width), dtype=int)
        self.coded, self.refined = set(), set()
        self.contexts = initial_contexts()

    def decode(self, segments: list[tuple[bytes, int]]) -> np.ndarray:
        """Coefficients times two, from codeword segments and their numbers of passes."""
        for data, passes in segments:
            raw = self.style & BYPASS and self.passes >= 10 and self.kind != 2
            self.source = RawDecoder(data) if raw else MQDecoder(data)
            self.raw = raw
            for _ in range(passes):
                if self.plane < 0:
                    return self.values()
                (self._significance, self._refinement, self._cleanup)[self.kind]()
                if self.kind == 2:
                    self.plane -= 1
                if self.style & RESET:
                    self.contexts = initial_contexts()
                self.kind = (self.kind + 1) % 3
                self.passes += 1
        return self.values()

    def values(self) -> np.ndarray:
        return np.where(self.negative == 1, -self.magnitude, self.magnitude)

    def _scan(self):
        for top in range(0, self.height, 4):
            for x in range(self.width):
                for y in range(top, min(top + 4, self.height)):
                    yield y, x

    def _significant(self, y: int, x: int, seen_from: int) -> int:
        if not (0 <= y < self.height and 0 <= x < self.width):
            return 0
        if self.style & CAUSAL and y > seen_from and y % 4 == 0:
            return 0
        return int(self.magnitude[y, x] != 0)

    def _sums(self, y: int, x: int) -> tuple[int, int, int]:
        horizontal = sum(self._significant(y, x + d, y) for d in (-1, 1))
        vertical = sum(self._significant(y + d, x, y) for d in (-1, 1))
        diagonal = sum(self._significant(y + d, x + e, y) for d in (-1, 1) for e in (-1, 1))
        return horizontal, vertical, diagonal

    def _zero_context(self, y: int, x: int) -> int:
        """Table D.1."""
        h, v, d = self._sums(y, x)
        if self.orientation == "HH":
            if d >= 3:
                return 8
            if d == 2:
                return 7 if h + v else 6
            return 3 * d + min(h + v, 2)
        if self.orientation == "HL":
            h, v = v, h
        if h == 2:
            return 8
        if h == 1:
            return 7 if v else 6 if d else 5
        if v:
            return 2 + v
        return min(d, 2)

    def _contribution(self, places: list, seen_from: int) -> int:
        total = sum(self._significant(y, x, seen_from) * (1 - 2 * self._sign(y, x)) for y, x in places)
        return max(-1, min(1, total))

    def _sign(self, y: int, x: int) -> int:
        inside = 0 <= y < self.height and 0 <= x < self.width
        return int(self.negative[y, x]) if inside else 0

    def _become_significant(self, y: int, x: int) -> None:
        """Tables D.2 and D.3."""
        h = self._contribution([(y, x - 1), (y, x + 1)], y)
        v = self._contribution([(y - 1, x), (y + 1, x)], y)
        if self.raw:
            negative = self.source.bit()
        else:
            table = {(1, 1): 13, (1, 0): 12, (1, -1): 11, (0, 1): 10, (0, 0): 9}
            flip = (h, v) not in table
            context = table[(-h, -v)] if flip else table[(h, v)]
            negative = self.source.decode(self.contexts, context) ^ flip
        self.negative[y, x] = negative
        self.magnitude[y, x] = 3 << self.plane

    def _significance(self) -> None:
        self.coded = set()
        for y, x in self._scan():
            if self.magnitude[y, x] or not any(self._sums(y, x)):
                continue
            self.coded.add((y, x))
            if self.raw:
                bit = self.source.bit()
            else:
                bit = self.source.decode(self.contexts, self._zero_context(y, x))
            if bit:
                self._become_significant(y, x)

    def _refinement(self) -> None:
        for y, x in self._scan():
            if not self.magnitude[y, x] or (y, x) in self.coded:
                continue
            context = 16 if (y, x) in self.refined else 15 if any(self._sums(y, x)) else 14
            bit = self.source.bit() if self.raw else self.source.decode(self.contexts, context)
            self.magnitude[y, x] += (1 if bit else -1) << self.plane
            self.refined.add((y, x))

    def _cleanup(self) -> None:
        for top in range(0, self.height, 4):
            for x in range(self.width):
                self._cleanup_column(top, x)
        self.coded = set()
        if self.style & SEGMENTATION:
            for _ in range(4):
                self.source.decode(self.contexts, 18)

    def _cleanup_column(self, top: int, x: int) -> None:
        rows = range(top, min(top + 4, self.height))
        start, skip_zero_coding = top, False
        empty = all(not self.magnitude[y, x] and not any(self._sums(y, x)) and (y, x) not in self.coded for y in rows)
        if len(rows) == 4 and empty:
            if not self.source.decode(self.contexts, 17):
                return
            start += 2 * self.source.decode(self.contexts, 18)
            start += self.source.decode(self.contexts, 18)
            skip_zero_coding = True
        for y in rows:
            if y < start or self.magnitude[y, x] or (y, x) in self.coded:
                continue
            if skip_zero_coding or self.source.decode(self.contexts, self._zero_context(y, x)):
                self._become_significant(y, x)
            skip_zero_coding = False


ALPHA, BETA, GAMMA, DELTA = -1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971
K = 1.230174104914001


def _extended(line: np.ndarray, start: int) -> dict:
    """Samples by their place, with whole-sample symmetric extension by eight (equation F-4)."""
    size = len(line)
    extended = {}
    for place in range(start - 8, start + size + 8):
        n = (place - start) % (2 * (size - 1))
        extended[place] = line[min(n, 2 * (size - 1) - n)]
    return extended


def synthesise_line(line: np.ndarray, start: int, reversible: bool) -> np.ndarray:
    """1D_SR (F.3.6) on an interleaved line whose first sample stands at place `start`."""
    if len(line) == 1:
        half = int(line[0] / 2) if reversible else line[0] / 2
        return np.array([half if start % 2 else line[0]])
    x = _extended(line, start)
    places = sorted(x)
    even, odd = ([n for n in places[1:-1] if n % 2 == parity] for parity in (0, 1))
    if reversible:
        for n in even:
            x[n] -= (x[n - 1] + x[n + 1] + 2) // 4
        for n in odd:
            x[n] += (x[n - 1] + x[n + 1]) // 2
    else:
        for n in places:
            x[n] *= K if n % 2 == 0 else 1 / K
        for targets, weight in ((even, DELTA), (odd, GAMMA), (even, BETA), (odd, ALPHA)):
            for n in targets:
                x[n] -= weight * (x[n - 1] + x[n + 1])
    return np.array([x[n] for n in range(start, start + len(line))])


def inverse_transform(bands: list, shape: tuple, origin: tuple, reversible: bool) -> np.ndarray:
    """IDWT (F.3.1): samples from subbands in the order of the codestream."""
    levels = (len(bands) - 1) // 3
    low = bands[0]
    for n in range(levels):
        hl, lh, hh = bands[3 * n + 1 : 3 * n + 4]
        scale = 1 << (levels - 1 - n)
        y0, x0 = (-(-place // scale) for place in origin)
        y1, x1 = (-(-(place + size) // scale) for place, size in zip(origin, shape))
        samples = np.zeros((y1 - y0, x1 - x0), dtype=int if reversible else float)
        for band, down, across in ((low, 0, 0), (hl, 0, 1), (lh, 1, 0), (hh, 1, 1)):
            samples[(y0 + down) % 2 :: 2, (x0 + across) % 2 :: 2] = band
        if samples.size:
            samples = np.array([synthesise_line(row, x0, reversible) for row in samples])
            samples = np.array([synthesise_line(column, y0, reversible) for column in samples.T]).T
        low = samples
    return low
