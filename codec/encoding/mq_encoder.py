"""The MQ arithmetic encoder (T.800 Annex C.2)."""

import numpy as np

from codec.jit import kernel, leading_zeros
from codec.mq_tables import CONTEXTS, INITIAL_STATES, NEXT_LPS, NEXT_MPS, QE, SWITCH_MPS

# Table C.2 with one integer a state: Qe << 8 | state << 1 | sense of the MPS.
_ENTRIES = np.arange(2 * len(QE))
_WORDS = QE[_ENTRIES >> 1].astype(np.int32) << 8 | _ENTRIES.astype(np.int32)
START_WORDS = _WORDS[INITIAL_STATES << 1]


def _successors() -> np.ndarray:
    """int32 [512]: the state after a decision.

    Index: bit 8 says that A needs no renormalisation, bit 7 that the decision is the LPS; then state and sense.
    """
    table = np.zeros((4, 128), np.int32)
    table[0, _ENTRIES] = _WORDS[NEXT_MPS[_ENTRIES >> 1] << 1 | _ENTRIES & 1]
    table[1, _ENTRIES] = _WORDS[NEXT_LPS[_ENTRIES >> 1] << 1 | (_ENTRIES & 1) ^ SWITCH_MPS[_ENTRIES >> 1]]
    table[2, _ENTRIES] = _WORDS  # only an MPS can go without renormalisation
    return table.ravel()


SUCCESSORS = _successors()

# Registers of the encoder as one array, so that a pass can continue where the last one stopped.
REGISTER_A, REGISTER_C, REGISTER_CT, REGISTER_BP = 0, 1, 2, 3
MAX_HELD_BITS = 16


@kernel
def start_encoder(registers, states):
    """INITENC (C.2.8) and the initial states of Table D.7; byte 0 of the output is the dummy before the first."""
    registers[REGISTER_A] = 0x8000
    registers[REGISTER_C] = 0
    registers[REGISTER_CT] = 12
    registers[REGISTER_BP] = 0
    for context in range(CONTEXTS):
        states[context] = START_WORDS[context]


@kernel
def _bytes_out(c, held, bp, output):
    """BYTEOUT (C.2.7) until less than a byte is held: C has been shifted `held` bits too far."""
    while held >= 0:
        top = np.int64(27) + held
        if output[bp] != 0xFF and c >> top:
            output[bp] += 1
            c &= (np.int64(1) << top) - 1
        # After a byte 0xFF the next one has seven bits: its first is left for a carry.
        taken = np.int64(7) if output[bp] == 0xFF else np.int64(8)
        top -= taken
        bp += 1
        output[bp] = c >> top
        c &= (np.int64(1) << top) - 1
        held -= taken
    return c, held, bp


@kernel
def encode_symbols(symbols, count, registers, states, output):
    """Run the MQ encoder (C.2.2-C.2.7) over the decisions of one coding pass.

    Whether a decision is the LPS and whether A needs renormalisation cannot be predicted, so nothing branches on them.
    Several bytes leave C at a time. Where a carry is still to come then, 0xFF may become 0x00 and a carry, which
    decodes alike.

    Parameters
    ----------
    symbols : numpy.ndarray
        uint8: context << 1 | decision, of which the first `count` are coded.
    registers, states : numpy.ndarray
        int32 [4] (A, C, CT, BP) and int32 [19] (as `START_WORDS`), updated.
    output : numpy.ndarray
        uint8; ``output[BP]`` is the byte B that a carry may still change.
    """
    a, c = registers[REGISTER_A], np.int64(registers[REGISTER_C])
    held, bp = -np.int64(registers[REGISTER_CT]), np.int64(registers[REGISTER_BP])
    for n in range(count):
        symbol = np.uint32(symbols[n])
        context = np.uintp(symbol >> np.uint32(1))
        state = states[context]
        qe = state >> np.int32(8)
        a -= qe
        less_probable = (state ^ np.int32(symbol)) & np.int32(1)
        upper = (a < qe) == (less_probable == 1)  # the exchange of C.2.4 makes the MPS the larger part
        c += np.int64(qe) if upper else np.int64(0)
        a = a if upper else qe
        keeps = (a & np.int32(0x8000)) >> np.int32(7)
        states[context] = SUCCESSORS[np.uintp(keeps | less_probable << np.int32(7) | (state & np.int32(0x7F)))]
        shift = leading_zeros(a) - np.int32(16)
        a <<= shift
        c <<= np.int64(shift)
        held += np.int64(shift)
        if held >= MAX_HELD_BITS:
            c, held, bp = _bytes_out(c, held, bp, output)
    c, held, bp = _bytes_out(c, held, bp, output)
    registers[REGISTER_A], registers[REGISTER_C] = a, c
    registers[REGISTER_CT], registers[REGISTER_BP] = -held, bp


def encode_decisions(symbols: np.ndarray) -> bytes:
    """The codeword of a sequence of decisions, as of `encode_symbols`: the MQ coder by itself."""
    registers, states = np.empty(4, np.int32), np.empty(CONTEXTS, np.int32)
    output = np.empty(symbols.size + 16, np.uint8)
    output[0] = 0
    start_encoder(registers, states)
    encode_symbols(symbols, symbols.size, registers, states, output)
    return output[1 : registers[REGISTER_BP] + 1].tobytes()
