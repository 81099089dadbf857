"""Context modelling of the three coding passes over a code-block (T.800 Annex D), as the encoder runs it.

A pass writes its decisions as bytes ``context << 1 | decision``; the MQ coder then runs over them in a loop of its
own (small loops, each easy to test and fast). A code-block is scanned in stripes of four rows (D.1). The state of a
stripe's column is one 64-bit word of `flags`, which has a border of one stripe above and below and of one column left
and right:

    bits 0-17   significance of the 6 × 3 coefficients around and in the column, bit 3 · row + column
    bits 18-35  their signs, in the same order (1 is negative)
    bits 37, 40, 43, 46   rows 0-3 were refined before
    bits 49, 52, 55, 58   rows 0-3 were coded in this bit-plane already, or lie below the code-block

The 3 × 3 neighbourhood of row k is then ``(word >> 3 * k) & 0x1FF``, the index into `ZERO_CODING_CONTEXTS`.

Indices are cast to unsigned integers because signed ones would be tested for counting from the end, which takes a
quarter of the time.
"""

import numpy as np

from codec.jit import kernel
from codec.mq_tables import REFINEMENT, RUN_LENGTH, SIGN_CONTEXTS, SIGN_FLIPS, UNIFORM, ZERO_CODING_CONTEXTS

SIGN_BITS = 18
SELF = 4  # bit of row 0's own significance
REFINED = 37
CODED = 49
SIGNIFICANCE = 0x3FFFF
ROWS = 0x249  # one bit a row, three apart
ALL_CODED = ROWS << CODED

ZERO_CODING_SYMBOLS = ZERO_CODING_CONTEXTS << 1
SIGN_SYMBOLS = SIGN_CONTEXTS << 1 | SIGN_FLIPS


@kernel
def _mark_significant(flags, at, stride, k, negative):
    """Mark row k of column `at` as significant in the neighbours' words; returns the mark for the column's own word."""
    mark = (np.int64(1) | negative << SIGN_BITS) << (3 * k + 3)
    flags[np.uintp(at - 1)] |= mark << 2
    flags[np.uintp(at + 1)] |= mark
    if k == 0:
        mark = (np.int64(1) | negative << SIGN_BITS) << 15
        flags[np.uintp(at - stride - 1)] |= mark << 2
        flags[np.uintp(at - stride)] |= mark << 1
        flags[np.uintp(at - stride + 1)] |= mark
    elif k == 3:
        mark = np.int64(1) | negative << SIGN_BITS
        flags[np.uintp(at + stride - 1)] |= mark << 2
        flags[np.uintp(at + stride)] |= mark << 1
        flags[np.uintp(at + stride + 1)] |= mark
    return (np.int64(1) | negative << SIGN_BITS) << (3 * k + SELF)


@kernel
def _sign_symbol(word, k, negative):
    """Context and decision of sign coding (D.3.2) for row k, from its four straight neighbours."""
    pattern = ((word >> 3 * k) & 0xAA) | ((word >> (3 * k + SIGN_BITS)) & 0xAA) >> 1
    return SIGN_SYMBOLS[np.uintp(pattern)] ^ negative


@kernel
def significance_pass(words, flags, width, stripes, plane, table, symbols):
    """Significance propagation (D.3.1).

    Parameters
    ----------
    words : numpy.ndarray
        int32 [stripes · width · 4], column after column of each stripe; bit 0 is set where a coefficient becomes
        significant here.
    flags : numpy.ndarray
        int64 [(stripes + 2) · (width + 2)].
    plane : int
        Bit of `words` that is coded.
    table : numpy.ndarray
        uint8 [512], zero-coding symbols for the subband's orientation.
    symbols : numpy.ndarray
        uint8, receives the decisions.

    Returns
    -------
    count, new, total
        Number of decisions, number of coefficients that became significant, and the sum of their magnitudes.
    """
    stride = width + 2
    count, new, total = 0, 0, np.int64(0)
    for stripe in range(stripes):
        at = (stripe + 1) * stride
        first = stripe * width * 4 - 4
        for _ in range(width):
            at += 1
            first += 4
            word = flags[np.uintp(at)]
            if word & SIGNIFICANCE == 0 or (word >> SELF) & ROWS == ROWS:
                continue
            for k in range(4):
                neighbours = (word >> 3 * k) & 0x1EF
                not_due = (word >> (3 * k + SELF)) | (word >> (3 * k + CODED))
                member = (neighbours != 0) & ~not_due & 1
                value = words[np.uintp(first + k)]
                bit = (value >> plane) & 1
                symbols[np.uintp(count)] = table[np.uintp(neighbours)] | bit
                count += member
                word |= np.int64(member) << (3 * k + CODED)
                if member & bit:
                    negative = np.int64(value < 0)
                    symbols[np.uintp(count)] = _sign_symbol(word, k, negative)
                    count += 1
                    word |= _mark_significant(flags, at, stride, k, negative)
                    words[np.uintp(first + k)] = value | 1
                    new += 1
                    total += (value & 0x7FFFFFFE) >> 1
            flags[np.uintp(at)] = word
    return count, new, total


@kernel
def refinement_pass(words, flags, width, stripes, plane, symbols):
    """Magnitude refinement (D.3.3).

    Returns
    -------
    count, ones, total
        Number of decisions, number of those that are 1, and the sum over all of ±(magnitude modulo
        2^(plane + 1)), positive where the decision is 1.
    """
    stride = width + 2
    count, ones, total = 0, 0, np.int64(0)
    below = (np.int64(2) << plane) - 1
    for stripe in range(stripes):
        at = (stripe + 1) * stride
        first = stripe * width * 4 - 4
        for _ in range(width):
            at += 1
            first += 4
            word = flags[np.uintp(at)]
            members = (word >> SELF) & ~(word >> CODED) & ROWS
            if members == 0:
                continue
            for k in range(4):
                member = (members >> 3 * k) & 1
                value = words[np.uintp(first + k)]
                bit = (value >> plane) & 1
                context = np.int64(REFINEMENT) + ((word >> 3 * k) & 0x1EF != 0)
                if (word >> (3 * k + REFINED)) & 1:
                    context = np.int64(REFINEMENT + 2)
                symbols[np.uintp(count)] = context << 1 | bit
                count += member
                ones += member & bit
                remainder = np.int64(value & below) >> 1
                total += (remainder if bit else -remainder) * member
            flags[np.uintp(at)] = word | members << REFINED
    return count, ones, total


@kernel(forceinline=True)
def _put_interrupted_run(symbols, count, row):
    """Write the decisions of a run that ends before a significant coefficient in `row` (D.3.4); returns their end."""
    symbols[np.uintp(count)] = RUN_LENGTH << 1 | 1
    symbols[np.uintp(count + 1)] = UNIFORM << 1 | row >> 1
    symbols[np.uintp(count + 2)] = UNIFORM << 1 | row & 1
    return count + 3


@kernel
def cleanup_pass(words, flags, width, stripes, plane, rows_outside, table, symbols):
    """Cleanup (D.3.4), which also makes `flags` ready for the next bit-plane.

    `rows_outside` has a bit at `CODED` for every row of the last stripe below the code-block. Returns as
    `significance_pass`.
    """
    stride, count, new, total = width + 2, 0, 0, np.int64(0)
    pairs, ones = words.view(np.int64), np.int64(1) << plane | np.int64(1) << plane + 32
    for stripe in range(stripes):
        at, first = (stripe + 1) * stride, stripe * width * 4 - 4
        outside_here = rows_outside if stripe == stripes - 1 else np.int64(0)
        for _ in range(width):
            at, first = at + 1, first + 4
            word = flags[np.uintp(at)]
            members = ~((word >> SELF) | (word >> CODED)) & ROWS
            start, run_interrupted = 0, False
            if word & SIGNIFICANCE == 0 and outside_here == 0:
                if (pairs[np.uintp(first >> 1)] | pairs[np.uintp((first >> 1) + 1)]) & ones == 0:
                    symbols[np.uintp(count)] = RUN_LENGTH << 1
                    count += 1
                    continue
                while (words[np.uintp(first + start)] >> plane) & 1 == 0:
                    start += 1
                count = _put_interrupted_run(symbols, count, start)
                run_interrupted = True
            if members == 0:
                flags[np.uintp(at)] = word & ~ALL_CODED | outside_here
                continue
            for k in range(start, 4):
                if (members >> 3 * k) & 1 == 0:
                    continue
                value = words[np.uintp(first + k)]
                bit = (value >> plane) & 1
                if not run_interrupted:
                    symbols[np.uintp(count)] = table[np.uintp((word >> 3 * k) & 0x1EF)] | bit
                    count += 1
                run_interrupted = False
                if bit:
                    negative = np.int64(value < 0)
                    symbols[np.uintp(count)] = _sign_symbol(word, k, negative)
                    word |= _mark_significant(flags, at, stride, k, negative)
                    count, new, total = count + 1, new + 1, total + ((value & 0x7FFFFFFE) >> 1)
            flags[np.uintp(at)] = word & ~ALL_CODED | outside_here
    return count, new, total
