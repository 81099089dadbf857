"""Rate control and padding on real coded blocks: exact lengths, honest accounts, slopes that fall."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.encoding.block_changes import measure_header
from codec.encoding.code_blocks import CodedBlocks, SubbandWords
from codec.encoding.forward_97 import forward_97
from codec.encoding.packet_division import packet_blocks
from codec.encoding.padding import NO_BLOCK
from codec.encoding.quantizer import derived_quantization, quantize, subband_norms, subband_steps
from codec.encoding.rate_control import RateControl
from codec.subbands import subband_names, subband_shapes
from codec.workers import Workers


def controlled(pixels, levels):
    """Rate control over all passes of an 8-bit image."""
    quantization = derived_quantization(8, levels)
    bands = []
    for coefficients, step, norm, (orientation, _) in zip(
        forward_97(pixels, levels, 128),
        subband_steps(quantization, 8, levels),
        subband_norms(levels),
        subband_names(levels),
    ):
        squares = tuple(-(-size // 64) for size in coefficients.shape)
        planes = np.empty(squares, np.int32)
        quantize(coefficients, step, planes)
        bands.append(SubbandWords(coefficients.view(np.int32), orientation, (norm * step / 32) ** 2, 20, planes))
    packets, subband, area = packet_blocks(subband_shapes(*pixels.shape, levels))
    blocks = CodedBlocks(bands, subband, area)
    with Workers(1) as workers:
        blocks.code(np.arange(len(subband)), 0.0, workers)
    return RateControl(blocks, packets)


@pytest.fixture(scope="module")
def image_control():
    rng = np.random.default_rng(0)
    pixels = np.clip(128 + np.cumsum(rng.normal(0, 3, (150, 170)), axis=1), 0, 255).astype(np.uint8)
    return controlled(pixels, 2)


def check_account(control, packet_bytes):
    allocation = control.allocate(packet_bytes)
    plan, filling, blocks = allocation.plan, allocation.filling, control.blocks
    included = np.flatnonzero((plan.passes > 0) & (np.arange(len(plan.passes)) != filling.blank))
    needed = blocks.lengths[included, plan.passes[included] - 1]
    assert np.all((plan.lengths[included] >= needed) | (included == filling.truncated))
    headers = sum(measure_header(plan, packet) for packet in range(len(control.packets)))
    assert headers == allocation.header_bytes
    assert headers + plan.lengths.sum() == packet_bytes
    everything = np.where(blocks.passes > 0, blocks.lengths[np.arange(len(blocks.passes)), blocks.passes - 1], 0)
    assert filling.padding >= np.maximum(plan.lengths - everything, 0).sum()
    # Filler is for what nothing is left for (up to a few bytes, where one length cannot be had), or where the header
    # of no block would fit.
    if packet_bytes >= len(control.packets) + 3 and filling.padding > 0:
        assert np.maximum(everything - plan.lengths, 0).sum() <= 12
    return allocation


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_length_is_met(image_control, data):
    least = len(image_control.packets)
    check_account(image_control, data.draw(st.integers(least, 30_000)))


def test_every_small_length_is_met(image_control):
    for packet_bytes in range(len(image_control.packets), 120):
        filling = check_account(image_control, packet_bytes).filling
        assert filling.padding == 0 or packet_bytes < len(image_control.packets) + 3


@settings(deadline=None, max_examples=25)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9), level=st.integers(0, 255), extra=st.integers(0, 5000))
def test_blank_and_tiny_images_are_padded(rows, columns, level, extra):
    control = controlled(np.full((rows, columns), level, np.uint8), 0)
    allocation = check_account(control, 1 + extra)
    if level == 128:
        assert allocation.header_bytes + allocation.filling.padding == 1 + extra
        assert extra == 0 or allocation.filling.blank != NO_BLOCK


def test_points_are_the_concave_hull(image_control):
    """Against the definition: no point of a block lies above the line between its neighbours on the hull."""
    blocks = image_control.blocks
    for block in range(0, len(blocks.passes), 5):
        mine = image_control.point_block == block
        hull = np.sort(image_control.point_passes[mine])
        count = blocks.passes[block]
        rates = np.concatenate([[0], blocks.lengths[block, :count] + 1.5])
        gains = np.concatenate([[0], blocks.gains[block, :count]])
        corners = np.concatenate([[0], hull])
        slopes = np.diff(gains[corners]) / np.diff(rates[corners])
        assert np.all(slopes > 0)
        assert np.all(np.diff(slopes) < 0)
        line = np.interp(rates, rates[corners], gains[corners])
        assert np.all(gains <= line + 1e-9 * gains.max())
    assert np.all(np.diff(image_control.point_slope) <= 0)


def test_more_bytes_give_no_less(image_control):
    gains = []
    for packet_bytes in range(500, 12_000, 500):
        allocation = image_control.allocate(packet_bytes)
        passes = allocation.plan.passes
        carried = np.flatnonzero(passes)
        gains.append(image_control.blocks.gains[carried, passes[carried] - 1].sum())
        assert allocation.filling.padding == 0
        assert image_control.slope(packet_bytes) == allocation.slope
    assert np.all(np.diff(gains) > 0)
