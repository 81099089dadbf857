"""Slow reference readers of codeword segments (the MQ decoder, C.3) and of packet headers (B.10)."""

from codec.mq_tables import INITIAL_STATES, NEXT_LPS, NEXT_MPS, QE, SWITCH_MPS


def mq_decode(segment: bytes, contexts: list[int]) -> list[int]:
    """Decode one decision for each of `contexts`; past the end of `segment` there are ones (C.3.4)."""
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
