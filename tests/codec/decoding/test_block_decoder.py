import naive_decoder
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_packets import passes_of_segment

from codec.decoding.block_decoder import decode_block
from codec.decoding.block_state import SIGN_BIT, SubbandCoding, new_workspace
from codec.decoding.mq_decoder import decode_decisions, load_segment
from codec.decoding.packet_reader import Contributions
from codec.mq_tables import CONTEXTS, ORIENTATION_CLASSES, ZERO_CODING_CONTEXTS


def codeword(rng, length):
    """Random bytes as an encoder could have written them: after 0xFF the stuffed bit is 0."""
    data = rng.integers(0, 256, length).astype(np.uint8)
    data[rng.random(length) < 0.1] = 0xFF
    for k in range(1, length):
        if data[k - 1] == 0xFF:
            data[k] &= 0x7F
    return data.tobytes()


def one_piece(data):
    return np.array([[0, 0, 1, 0, len(data), -1]], dtype=np.int64), np.frombuffer(data, np.uint8)


@settings(deadline=None, max_examples=80)
@given(seed=st.integers(0, 2**32 - 1), length=st.integers(0, 60))
def test_mq_decoder_equals_the_flow_charts(seed, length):
    rng = np.random.default_rng(seed)
    data = codeword(rng, length)
    sequence = rng.integers(0, CONTEXTS, 700)
    contexts = naive_decoder.initial_contexts()
    reference = naive_decoder.MQDecoder(data)
    expected = [reference.decode(contexts, int(k)) for k in sequence]
    assert decode_decisions(data, sequence.astype(np.uint8)).tolist() == expected


def test_stuffed_carry_reaches_back_over_whole_words():
    # 0xFF 0x80: the carry in the stuffed bit's place runs through the ones before it.
    data = bytes([0x12, 0x34, 0x56, 0x77, *(b"\xff\x7f" * 12), 0xFF, 0x80, 0x00])
    pieces, bytes_ = one_piece(data)
    words = np.zeros(len(data), np.int64)
    _, _, count = load_segment(bytes_, pieces, 0, 1, words, False)
    value, bits = 0, 0
    for previous, byte in zip(b"\0" + data, data):
        width = 7 if previous == 0xFF else 8
        value, bits = (value << width) + byte, bits + width
    rest = 32 * count - bits
    expected = (value << rest) + (1 << rest) - 1
    assert sum(int(word) << (32 * (count - 1 - k)) for k, word in enumerate(words[:count])) == expected


@settings(deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 40),
    height=st.integers(1, 37),
    planes=st.integers(1, 9),
    passes=st.integers(1, 27),
    style=st.sampled_from([0, 0, 1, 2, 4, 5, 8, 9, 32, 44, 63]),
    orientation=st.sampled_from(["LL", "HL", "LH", "HH"]),
)
def test_decode_block_equals_the_naive_decoder(seed, width, height, planes, passes, style, orientation):
    rng = np.random.default_rng(seed)
    segments, pieces, index = [], [], 0
    while index < passes:
        number = passes_of_segment(index, passes - index, style)
        data = codeword(rng, int(rng.integers(0, 12 * number)))
        segments.append((data, number))
        cut = int(rng.integers(0, len(data) + 1)) if number > 1 else len(data)
        parts = [(data[:cut], 1), (data[cut:], number - 1)] if number > 1 else [(data, 1)]
        for part, part_passes in parts:
            pieces.append((part, index, part_passes))
            index += part_passes
    table = np.zeros((len(pieces), 6), np.int64)
    for k, (part, first, number) in enumerate(pieces):
        offset = sum(len(p[0]) for p in pieces[:k])
        table[k] = 0, first, number, offset, len(part), k + 1 if k + 1 < len(pieces) else -1
    data = np.frombuffer(b"".join(p[0] for p in pieces), np.uint8)
    contributions = Contributions(data, table, np.zeros(1, np.int32), np.zeros(1, np.uint8), np.zeros(1, np.uint8))
    zero_coding = ZERO_CODING_CONTEXTS[ORIENTATION_CLASSES[orientation]]
    coding = SubbandCoding(0, 0, 6, 6, planes, 0, style, zero_coding, np.float32(1), True)
    work = new_workspace(len(data) + 2)
    for array, scratch in zip(work, (77, 99, 99, 99, -1, -1, 0, 0, 0)):
        array[:] = scratch
    decode_block(contributions, 0, coding, planes, width, height, work)
    expected = naive_decoder.BlockDecoder(width, height, planes, orientation, style).decode(segments)
    stored = work.coefficients[: width * height].astype(np.int64)
    decoded = np.where(stored >> SIGN_BIT, -(stored & ~(1 << SIGN_BIT)), stored)
    np.testing.assert_array_equal(decoded.reshape(height, width), expected)
