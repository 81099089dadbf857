"""The MQ encoder and the ends of its segments against a naive decoder."""

import naive_entropy_decoding
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.encoding import codeword_segments, mq_encoder
from codec.mq_tables import CONTEXTS


def coded(decisions, seed):
    """Random contexts and decisions (skewed, so that states move), coded by the kernel."""
    rng = np.random.default_rng(seed)
    contexts = rng.integers(0, CONTEXTS, decisions)
    skew = rng.random(CONTEXTS) ** 3
    bits = (rng.random(decisions) < skew[contexts]).astype(int)
    symbols = (contexts << 1 | bits).astype(np.uint8)
    registers, states = np.empty(4, np.int32), np.empty(CONTEXTS, np.int32)
    output = np.zeros(2 * decisions + 16, np.uint8)
    mq_encoder.start_encoder(registers, states)
    half = decisions // 2
    mq_encoder.encode_symbols(symbols, half, registers, states, output)
    of_half = codeword_segments.pack_registers(registers, output), int(registers[mq_encoder.REGISTER_BP])
    mq_encoder.encode_symbols(symbols[half:], decisions - half, registers, states, output)
    return contexts, list(bits), registers, output, of_half


@settings(deadline=None, max_examples=150)
@given(decisions=st.integers(0, 600), seed=st.integers(0, 2**32 - 1), more=st.integers(0, 9))
def test_segments_of_every_length_decode(decisions, seed, more):
    contexts, bits, registers, output, _ = coded(decisions, seed)
    packed, bp = codeword_segments.pack_registers(registers, output), int(registers[mq_encoder.REGISTER_BP])
    shortest = codeword_segments.shortest_segment(packed, bp, np.empty(3, np.uint8))
    assert shortest <= bp + 2
    length = shortest + more
    exists = codeword_segments.find_ending(packed, bp, length, np.empty(3, np.uint8)) >= 0
    assert exists or 0 < more < 3
    if exists:
        segment = np.full(length + 1, 0xEE, np.uint8)
        codeword_segments.write_segment(output[1:], packed, bp, length, segment, 0)
        assert segment[length] == 0xEE
        assert length == 0 or segment[length - 1] != 0xFF
        assert not np.any((segment[: length - 1] == 0xFF) & (segment[1:length] > 0x8F))
        assert naive_entropy_decoding.mq_decode(segment[:length].tobytes(), list(contexts)) == bits


@settings(deadline=None, max_examples=50)
@given(decisions=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_shortest_segment_cannot_be_shortened(decisions, seed):
    contexts, bits, registers, output, _ = coded(decisions, seed)
    packed, bp = codeword_segments.pack_registers(registers, output), int(registers[mq_encoder.REGISTER_BP])
    shortest = codeword_segments.shortest_segment(packed, bp, np.empty(3, np.uint8))
    segment = np.zeros(max(shortest, 1), np.uint8)
    codeword_segments.write_segment(output[1:], packed, bp, shortest, segment, 0)
    if shortest > 0 and not (shortest >= 2 and tuple(segment[shortest - 2 : shortest]) == (0xFF, 0x7F)):
        assert naive_entropy_decoding.mq_decode(segment[: shortest - 1].tobytes(), list(contexts)) != bits


@settings(deadline=None, max_examples=100)
@given(decisions=st.integers(2, 400), seed=st.integers(0, 2**32 - 1))
def test_prefixes_decode_as_far_as_they_say(decisions, seed):
    contexts, bits, registers, output, (packed, bp) = coded(decisions, seed)
    half = decisions // 2
    last = codeword_segments.pack_registers(registers, output), int(registers[mq_encoder.REGISTER_BP])
    total = codeword_segments.shortest_segment(*last, np.empty(3, np.uint8))
    segment = np.full(total + 1, 0xEE, np.uint8)
    for start, end in ((0, total // 2), (total // 2, total)):
        codeword_segments.write_prefix(output[1:], *last, total, start, end, segment, start)
    assert segment[total] == 0xEE
    assert naive_entropy_decoding.mq_decode(segment[:total].tobytes(), list(contexts)) == bits
    fewest = total
    for length in range(max(bp, 1), total + 1):
        prefix = segment[:length].tobytes()
        decoded = naive_entropy_decoding.mq_decode(prefix, list(contexts[:half]))
        decodes = codeword_segments.prefix_decodes(output[1:], *last, total, packed, bp, length)
        assert decodes == (decoded == bits[:half] and prefix[-1] != 0xFF)
        fewest = min(fewest, length) if decodes else fewest
    assert codeword_segments.shortest_prefix(output[1:], *last, total, packed, bp) == fewest


@settings(deadline=None, max_examples=30)
@given(decisions=st.integers(0, 600), seed=st.integers(0, 2**32 - 1))
def test_the_codeword_of_decisions_alone(decisions, seed):
    rng = np.random.default_rng(seed)
    contexts, bits = rng.integers(0, CONTEXTS, decisions), (rng.random(decisions) < 0.3).astype(int)
    codeword = mq_encoder.encode_decisions((contexts << 1 | bits).astype(np.uint8))
    # The last registers are not in it, so that the last decisions are open.
    decoded = naive_entropy_decoding.mq_decode(codeword, list(contexts))
    sure = max(len(codeword) - 4, 0)
    assert decoded[:sure] == bits[:sure].tolist()
