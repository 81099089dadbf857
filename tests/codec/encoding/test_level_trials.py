"""Trials of several numbers of decomposition levels: the same streams as without sharing, and a choice that gains."""

import numpy as np
import pytest
from pictures import picture

import codec
from codec.encoding import level_trials
from codec.encoding.coded_image import code_irreversibly
from codec.encoding.decomposition import decomposition_levels
from codec.encoding.encoder import _encoded
from codec.encoding.level_trials import MIN_EXTRA_LEVELS, TRIALS, LevelTrials
from codec.ratio import ratio_for_target
from codec.workers import SINGLE_THREAD


def squared_error(pixels, decoded):
    return float(np.sum((pixels.astype(float) - decoded) ** 2))


def at(pixels, bits, size):
    """The codestream of so many bytes, as of a ladder."""
    return next(codec.encode_ladder(pixels, [ratio_for_target(pixels.nbytes, size)], bits_stored=bits))


def levels_of(encoded):
    return codec.inspect_codestream(encoded.codestream)[0].level


@pytest.mark.parametrize(("rows", "columns", "bits"), [(300, 260, 8), (130, 500, 12), (70, 90, 16)])
def test_sharing_changes_nothing(rows, columns, bits):
    pixels = picture("tissue", rows, columns, bits, 4)
    everything = 4 * pixels.nbytes
    trials = LevelTrials(pixels, bits, everything, SINGLE_THREAD)
    usual = decomposition_levels(rows, columns, bits)
    for levels in range(max(usual + MIN_EXTRA_LEVELS, 0), min(usual + 5, 23 - bits)):
        streams = []
        for image, control in (
            trials._with_levels(levels),
            code_irreversibly(pixels, bits, levels, everything, SINGLE_THREAD),
        ):
            assert np.all(image.blocks.complete)
            for size in (150, 3000):
                allocation = control.allocate(size - 82)
                streams.append(_encoded(image, allocation, 1.0, size, True, SINGLE_THREAD))
        for shared, alone in zip(streams[:2], streams[2:]):
            assert shared.codestream == alone.codestream
            np.testing.assert_array_equal(shared.reconstruction, alone.reconstruction)
            np.testing.assert_array_equal(codec.decode(shared.codestream).astype(pixels.dtype), shared.reconstruction)


def test_the_choice_gains_and_hardly_ever_loses(monkeypatch):
    gains = []
    for seed in range(4):
        for bits in (8, 12):
            pixels = picture("tissue", 700, 600, bits, seed)
            for size in (95, 130, 200, 400, 900):
                with monkeypatch.context() as patch:
                    patch.setattr(level_trials, "TRIALS", ())
                    usual = at(pixels, bits, size)
                chosen = at(pixels, bits, size)
                assert len(chosen.codestream) == len(usual.codestream) == size
                errors = [squared_error(pixels, each.reconstruction) for each in (usual, chosen)]
                gains.append(10 * np.log10(errors[0] / errors[1]))
    assert min(gains) >= -0.1
    assert np.mean(gains) >= 0.3


def test_errors_are_compared_as_they_are_in_the_image():
    pixels = picture("tissue", 700, 600, 8, 3)
    trials = LevelTrials(pixels, 8, 300, SINGLE_THREAD)
    true, estimated = [], []
    for levels in range(4, 9):
        image, control = trials._with_levels(levels)
        allocation = control.allocate(300)
        true.append(squared_error(pixels, _encoded(image, allocation, 1.0, 382, True, SINGLE_THREAD).reconstruction))
        estimated.append(trials._error(image, allocation))
    np.testing.assert_allclose(np.diff(estimated), np.diff(true), rtol=0.2, atol=0.01 * max(true))


def test_larger_targets_and_padded_ones_have_the_usual_levels(monkeypatch):
    monkeypatch.delattr(level_trials, "code_with_other_levels")
    pixels = picture("tissue", 300, 260, 12, 2)
    assert levels_of(at(pixels, 12, TRIALS[-1][0] + 82)) == decomposition_levels(300, 260, 12)
    blank = np.full((300, 260), 7, np.uint8)
    assert at(blank, 8, 300).padding_bytes > 0


def test_the_fewest_bytes_are_those_of_the_usual_levels():
    pixels = picture("tissue", 300, 260, 12, 2)
    usual = decomposition_levels(300, 260, 12)
    with pytest.raises(codec.UnreachableRatioError) as caught:
        codec.encode(pixels, 1e9)
    assert codec.encode(pixels, caught.value.largest_ratio).target_bytes == 82 + usual + 1
