"""Tables of Annex C and D against properties that the standard states, and the encoder against a naive decoder."""

import naive_entropy_decoding
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from codec import mq_coder


def test_state_table_is_closed_and_ordered():
    assert len(mq_coder.QE) == 47
    assert mq_coder.NEXT_MPS.max() == 46
    assert mq_coder.NEXT_LPS.max() == 46
    assert list(np.flatnonzero(mq_coder.SWITCH_MPS)) == [0, 6, 14]
    assert set(mq_coder.QE[mq_coder.SWITCH_MPS == 1]) == {0x5601}


def test_zero_coding_of_hl_is_lh_transposed():
    for pattern in range(512):
        rows = np.array([(pattern >> bit) & 1 for bit in range(9)]).reshape(3, 3)
        transposed = sum(int(value) << bit for bit, value in enumerate(rows.T.ravel()))
        tables = mq_coder.ZERO_CODING_CONTEXTS
        assert tables[1, pattern] == tables[0, transposed]
        assert tables[2, pattern] == tables[2, transposed]
        assert tables[:, pattern].max() <= 8


def test_sign_coding_of_negated_neighbours_flips():
    for pattern in range(256):
        significant = pattern & 0xAA
        negated = significant | ((significant >> 1) & ~pattern & 0x55)
        if pattern & 0x55 & ~(significant >> 1):
            continue
        assert mq_coder.SIGN_CONTEXTS[pattern] == mq_coder.SIGN_CONTEXTS[negated]
        balanced = mq_coder.SIGN_CONTEXTS[pattern] == 9
        assert (mq_coder.SIGN_FLIPS[pattern] != mq_coder.SIGN_FLIPS[negated]) != balanced


def coded(decisions, seed):
    """Random contexts and decisions (skewed, so that states move), coded by the kernel."""
    rng = np.random.default_rng(seed)
    contexts = rng.integers(0, mq_coder.CONTEXTS, decisions)
    skew = rng.random(mq_coder.CONTEXTS) ** 3
    bits = (rng.random(decisions) < skew[contexts]).astype(int)
    symbols = (contexts << 1 | bits).astype(np.uint8)
    registers, states = np.empty(4, np.int32), np.empty(mq_coder.CONTEXTS, np.int32)
    output = np.zeros(2 * decisions + 16, np.uint8)
    mq_coder.start_encoder(registers, states)
    half = decisions // 2
    mq_coder.encode_symbols(symbols, half, registers, states, output)
    mq_coder.encode_symbols(symbols[half:], decisions - half, registers, states, output)
    return contexts, list(bits), registers, output


@settings(deadline=None, max_examples=150)
@given(decisions=st.integers(0, 600), seed=st.integers(0, 2**32 - 1), more=st.integers(0, 9))
def test_segments_of_every_length_decode(decisions, seed, more):
    contexts, bits, registers, output = coded(decisions, seed)
    packed, bp = mq_coder.pack_registers(registers, output), int(registers[mq_coder.REGISTER_BP])
    shortest = mq_coder.shortest_segment(packed, bp, np.empty(3, np.uint8))
    assert shortest <= bp + 2
    length = shortest + more
    exists = mq_coder.find_ending(packed, bp, length, np.empty(3, np.uint8)) >= 0
    assert exists or 0 < more < 3
    if exists:
        segment = np.full(length + 1, 0xEE, np.uint8)
        mq_coder.write_segment(output[1:], packed, bp, length, segment, 0)
        assert segment[length] == 0xEE
        assert length == 0 or segment[length - 1] != 0xFF
        assert not np.any((segment[: length - 1] == 0xFF) & (segment[1:length] > 0x8F))
        assert naive_entropy_decoding.mq_decode(segment[:length].tobytes(), list(contexts)) == bits


@settings(deadline=None, max_examples=50)
@given(decisions=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_shortest_segment_cannot_be_shortened(decisions, seed):
    contexts, bits, registers, output = coded(decisions, seed)
    packed, bp = mq_coder.pack_registers(registers, output), int(registers[mq_coder.REGISTER_BP])
    shortest = mq_coder.shortest_segment(packed, bp, np.empty(3, np.uint8))
    segment = np.zeros(max(shortest, 1), np.uint8)
    mq_coder.write_segment(output[1:], packed, bp, shortest, segment, 0)
    if shortest > 0 and not (shortest >= 2 and tuple(segment[shortest - 2 : shortest]) == (0xFF, 0x7F)):
        assert naive_entropy_decoding.mq_decode(segment[: shortest - 1].tobytes(), list(contexts)) != bits
