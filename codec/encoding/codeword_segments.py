"""Codeword segments: where the MQ coder's bytes may be truncated, and how they end there (T.800 C.2.9, C.3.4, J.14).

A segment may end wherever its bytes, followed by ones without end (which a decoder reads past the end, C.3.4), lie in
the coder's interval [C, C + A) after the last pass. That is often a byte or two before the end by FLUSH (C.2.9), and
it follows from the coder's registers alone.
"""

import numpy as np

from codec.encoding.mq_encoder import REGISTER_A, REGISTER_BP, REGISTER_C, REGISTER_CT
from codec.jit import kernel

# Four bytes of ones have 30 bits, and the interval's ends have 27: the fifth byte changes nothing.
FINE_ENOUGH = 5


@kernel
def pack_registers(registers, output):
    """A, CT, B and C in one integer, for the functions below."""
    byte = np.int64(output[registers[REGISTER_BP]])
    a, ct = np.int64(registers[REGISTER_A]), np.int64(registers[REGISTER_CT])
    return a | ct << 16 | byte << 20 | np.int64(registers[REGISTER_C]) << 28


@kernel
def _segment_ending(packed, margin, ending, extra):
    """Write B and `extra` bytes after it, from C + `margin`, to `ending`; False if they lie outside of the interval."""
    a, ct, byte, c = packed & 0xFFFF, (packed >> 16) & 0xF, (packed >> 20) & 0xFF, packed >> 28
    low = (c << ct) + margin
    high = (c << ct) + (a << ct)
    unit = 27
    if byte != 0xFF and low >> unit:
        byte += 1
        low -= 1 << unit
        high -= 1 << unit
    ending[0] = byte
    for n in range(extra):
        unit -= 7 if byte == 0xFF else 8
        byte = low >> unit
        low -= byte << unit
        high -= byte << unit
        ending[n + 1] = byte
    return low < (1 << unit) <= high


@kernel
def shortest_segment(packed, bp, ending):
    """Least bytes of a segment that ends in this state of the coder; `ending` is scratch of 3."""
    for extra in range(3):
        if _segment_ending(packed, 0, ending, extra):
            # A last byte 0xFF is forbidden (B.10.1), and not needed: the decoder reads ones there anyway.
            return bp + extra - (ending[extra] == 0xFF)
    return bp + 3  # unreachable: the interval is wider than the cell of two bytes


@kernel
def find_ending(packed, bp, length, ending):
    """Find the last bytes of a segment of exactly `length` that ends in this state of the coder.

    Returns
    -------
    int
        How many bytes of `ending` follow B (its first byte), or -1 where no segment of this very length exists.
        Longer segments continue with any bytes.
    """
    extra = min(max(length - bp, 0), 2)
    # For two bytes and more: the lowest margin from which any continuation stays inside, not only ones.
    margin, cell = (0, 1 << 19) if extra < 2 else ((1 << 13) - 1, 1 << 13)
    if length < bp - 1:
        return -1
    for _ in range(4):
        if _segment_ending(packed, margin, ending, extra) and (ending[extra] == 0xFF) == (length < bp):
            return extra
        margin += cell
    return -1


@kernel
def write_segment(codeword, packed, bp, length, out, at):
    """Write a segment of exactly `length` bytes (one for which `find_ending` finds an end) to ``out[at:]``.

    Parameters
    ----------
    codeword : numpy.ndarray
        uint8: the block's bytes, of which those before B are used.
    packed, bp : int
        Registers at the end of the last pass carried.
    length : int
        Bytes beyond those that the coder needs are zeros.
    """
    ending = np.zeros(3, np.uint8)
    extra = find_ending(packed, bp, length, ending)
    for n in range(min(bp - 1, length)):
        out[at + n] = codeword[n]
    for n in range(0 if bp > 0 else 1, min(extra, length - bp) + 1):
        out[at + bp - 1 + n] = ending[n]
    for n in range(bp + extra, length):
        out[at + n] = 0


@kernel
def can_append_ones(count):
    """Whether `write_ones` can append so many bytes to a whole segment."""
    return count % 2 == 0 or count >= FINE_ENOUGH


@kernel
def write_ones(count, out, at):
    """Write the ones that a decoder reads past the end anyway (C.3.4), so that they change nothing.

    A last byte 0xFF is forbidden (B.10.1). An odd last byte is therefore 0, at a place that is finer than the ends of
    the coder's interval.
    """
    for n in range(count):
        out[at + n] = 0x7F if n % 2 else 0xFF
    if count % 2:
        out[at + count - 1] = 0


@kernel
def codeword_byte(codeword, packed, bp, total, n):
    """Byte `n` of the segment of `total` bytes that ends in this state of the coder."""
    if n < bp - 1:
        return codeword[n]
    ending = np.zeros(3, np.uint8)
    find_ending(packed, bp, total, ending)
    return ending[n - (bp - 1)]


@kernel
def prefix_decodes(codeword, last_packed, last_bp, total, packed, bp, length):
    """Whether the first `length` bytes of a block's codeword decode as the passes that end in an earlier state.

    Parameters
    ----------
    codeword, last_packed, last_bp, total
        The whole codeword, as for `codeword_byte`.
    packed, bp : int
        Registers at the end of those passes.
    length : int
        The prefix may not end with 0xFF either (B.10.1).
    """
    if not max(bp, 1) <= length <= total or codeword_byte(codeword, last_packed, last_bp, total, length - 1) == 0xFF:
        return False
    a, ct, byte, c = packed & 0xFFFF, (packed >> 16) & 0xF, (packed >> 20) & 0xFF, packed >> 28
    # The interval's upper end less the bytes, and the value of the ones that follow.
    high, unit, previous = (c + a) << ct, 27, byte
    if bp > 0:
        previous = np.int64(codeword_byte(codeword, last_packed, last_bp, total, bp - 1))
        high -= (previous - byte) << unit
    for n in range(bp, length):
        unit -= 7 if previous == 0xFF else 8
        if unit <= 0:
            return True  # finer than the interval's ends
        previous = np.int64(codeword_byte(codeword, last_packed, last_bp, total, n))
        high -= previous << unit
    return (1 << unit) <= high


@kernel
def shortest_prefix(codeword, last_packed, last_bp, total, packed, bp):
    """Least bytes of a block's codeword, as of `codeword_byte`, that decode as the passes that end in that state."""
    for length in range(max(bp, 1), total):
        if prefix_decodes(codeword, last_packed, last_bp, total, packed, bp, length):
            return length
    return total


@kernel
def write_prefix(codeword, last_packed, last_bp, total, start, length, out, at):
    """Write bytes `start` to `length` of the codeword, as of `codeword_byte`, to ``out[at:]``."""
    for n in range(start, length):
        out[at + n - start] = codeword_byte(codeword, last_packed, last_bp, total, n)
