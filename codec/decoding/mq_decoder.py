"""Decoding of codeword segments into symbols: the MQ decoder (T.800 Annex C.3) and raw bits (D.6)."""

import numpy as np

from codec.decoding.packet_header_reader import FIRST_PASS, LENGTH, NEXT, OFFSET, PASSES, PIECE_COLUMNS
from codec.jit import kernel, leading_zeros_64
from codec.mq_tables import INITIAL_STATES, NEXT_LPS, NEXT_MPS, QE, SWITCH_MPS

WORD_BITS = 32
ALL_ONES = 0xFFFFFFFF

# A context is one integer: Qe in bits 0-15, the more probable symbol in bit 17, the state above. Shifted left by
# QE_SHIFT it is Qe at the scale of A, whose 16 bits are the highest below the sign.
SENSE_BIT = 17
QE_SHIFT = 47
HALF = 0x8000 << QE_SHIFT
SIGN_BIT = 63

# Slots of a segment reader's state between passes: A, C and CT of the standard, the index of the next word, the number
# of words with data, and the position in a raw segment.
A_REGISTER, C_REGISTER, COUNT, NEXT_WORD, DATA_WORDS, RAW_POSITION = range(6)
SLOTS = 6


def _context_values() -> np.ndarray:
    """int64 [94]: the context integer for index ``state << 1 | mps``."""
    index = np.arange(94, dtype=np.int64)
    return QE[index >> 1].astype(np.int64) | index << SENSE_BIT


def _transitions(next_state: np.ndarray, switch: np.ndarray) -> np.ndarray:
    """int64 [94]: the context integer that follows the one of index ``state << 1 | mps``."""
    index = np.arange(94, dtype=np.int64)
    following = next_state[index >> 1].astype(np.int64) << 1 | ((index & 1) ^ switch[index >> 1])
    return _context_values()[following]


# For index ``state << 1 | mps`` the context integers after the more and, from LESS_PROBABLE_SHIFT on, the less probable
# symbol.
LESS_PROBABLE_SHIFT = 25
INDEX_MASK = 127
AFTER = _transitions(NEXT_MPS, np.zeros_like(SWITCH_MPS))
AFTER |= _transitions(NEXT_LPS, SWITCH_MPS) << LESS_PROBABLE_SHIFT
INITIAL_CONTEXTS = _context_values()[INITIAL_STATES.astype(np.int64) << 1]


@kernel
def load_segment(data, pieces, piece, end_pass, words, raw):
    """Join the pieces of a codeword segment and remove the stuffed bits (C.3.4; D.6 for raw segments).

    Parameters
    ----------
    data, pieces : numpy.ndarray
        As in `codec.decoding.packet_reader.Contributions`.
    piece : int
        The first piece.
    end_pass : int
        The pass before which the segment ends.
    words : numpy.ndarray
        int64, receives 32 bits an element; the last one, all ones, stands for all that follow (C.3.4.1).
    raw : bool
        Whether the stuffed bit is dropped; in MQ codewords it can hold a carry.

    Returns
    -------
    piece, passes, count
        The piece after the segment or -1, the segment's passes, and the number of words with data.
    """
    bits = np.int64(0)
    held = np.int64(0)
    count = np.int64(0)
    passes = np.int64(0)
    previous = np.int64(0)
    ended = False
    while piece >= 0 and pieces[piece, FIRST_PASS] < end_pass:
        passes += pieces[piece, PASSES]
        start = pieces[piece, OFFSET]
        for k in range(start, start + pieces[piece, LENGTH]):
            byte = np.int64(data[k])
            if previous == 0xFF and byte > 0x8F:
                ended = True  # a marker: the codeword is over
            if ended:
                break
            if previous != 0xFF:
                bits = bits << 8 | byte
                held += 8
            else:
                if byte > 0x7F and not raw:
                    bits += 1
                    if bits >> held:
                        bits &= (np.int64(1) << held) - 1
                        _carry(words, count)
                bits = bits << 7 | (byte & 0x7F)
                held += 7
            if held >= WORD_BITS:
                held -= WORD_BITS
                words[count] = bits >> held
                bits &= (np.int64(1) << held) - 1
                count += 1
            previous = byte
        piece = pieces[piece, NEXT]
    if held:
        rest = WORD_BITS - held
        words[count] = bits << rest | ((np.int64(1) << rest) - 1)
        count += 1
    words[count] = ALL_ONES
    return piece, passes, count


@kernel
def _carry(words, count):
    """Add one at the end of the first `count` words."""
    for k in range(count - 1, -1, -1):
        if words[k] != ALL_ONES:
            words[k] += 1
            return
        words[k] = 0


@kernel
def start_mq(mq, words, count):
    """INITDEC (C.3.5), for a segment of which the first `count` words hold data."""
    mq[A_REGISTER] = HALF
    mq[C_REGISTER] = words[0] << (QE_SHIFT + 15 - WORD_BITS)
    mq[COUNT] = WORD_BITS - 15
    mq[NEXT_WORD] = min(1, count)
    mq[DATA_WORDS] = count
    mq[RAW_POSITION] = 0


@kernel(forceinline=True)
def decode_symbol(value, next_word, count, a, c, ct, at):
    """DECODE (C.3.2): one symbol, in a context whose integer is `value`.

    Returns the symbol, the context's new integer, and the decoder's state. Most symbols are hardly more probable than
    the other one, so nothing branches on them: conditions are masks, 0 or -1. It takes no arrays, since Numba would
    count references to them on every call; `next_word` is the element of the segment's words at `at`.
    """
    qe = value << QE_SHIFT
    index = (value >> SENSE_BIT) & INDEX_MASK
    after = AFTER[np.uintp(index)]
    a -= qe
    c -= qe
    larger = a - qe
    lower = c >> SIGN_BIT
    less_probable = lower ^ (larger >> SIGN_BIT)  # exchanged where the upper interval is the smaller one
    bit = (index ^ less_probable) & 1
    c += qe & lower
    a -= larger & lower
    value = (
        value if a & HALF else after >> (less_probable & LESS_PROBABLE_SHIFT)
    )  # a context changes only with a renormalisation
    shift = np.int64(leading_zeros_64(a)) - 1
    a <<= shift
    c <<= shift
    ct -= shift
    if ct < 0:
        c += next_word << (QE_SHIFT - WORD_BITS - ct)
        ct += WORD_BITS
        at = min(at + 1, count)
    return bit, value, a, c, ct, at


@kernel
def _decode_symbols(contexts, sequence, mq, words, symbols):
    """Decode a symbol in each context of `sequence`."""
    a, c, ct, at, count = mq[A_REGISTER], mq[C_REGISTER], mq[COUNT], mq[NEXT_WORD], mq[DATA_WORDS]
    for n in range(sequence.size):
        k = np.uintp(sequence[n])
        symbols[n], contexts[k], a, c, ct, at = decode_symbol(contexts[k], words[np.uintp(at)], count, a, c, ct, at)


def decode_decisions(codeword: bytes, sequence: np.ndarray) -> np.ndarray:
    """The decisions of a codeword, for the contexts in which they were coded: the MQ decoder by itself.

    Parameters
    ----------
    codeword : bytes
    sequence : numpy.ndarray
        uint8, contexts as in `codec.mq_tables`.

    Returns
    -------
    numpy.ndarray
        uint8.
    """
    pieces = np.zeros((1, PIECE_COLUMNS), np.int64)
    pieces[0, PASSES], pieces[0, LENGTH], pieces[0, NEXT] = 1, len(codeword), -1
    words, mq = np.empty(len(codeword) // (WORD_BITS // 8) + 2, np.int64), np.empty(SLOTS, np.int64)
    _, _, count = load_segment(np.frombuffer(codeword, np.uint8), pieces, 0, 1, words, False)
    start_mq(mq, words, count)
    symbols = np.empty(sequence.size, np.uint8)
    _decode_symbols(INITIAL_CONTEXTS.copy(), sequence, mq, words, symbols)
    return symbols


@kernel
def raw_bit(words, count, at):
    """Bit `at` of a raw codeword segment; ones beyond its end."""
    return (words[min(at >> 5, count)] >> (31 - (at & 31))) & 1
