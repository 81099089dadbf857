"""Codestreams of many frames: on disk until they are written, and found by their offsets."""

import tracemalloc

import numpy as np
from dicom_files import dataset
from pydicom import dcmread
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.uid import JPEG2000

from mammo_jax.compression import encapsulation
from mammo_jax.compression.dicom import write_instance
from mammo_jax.compression.encapsulation import EncapsulatedFrames

PIXELS = np.zeros((8, 8), np.uint16)
CODESTREAMS = [b"a" * size for size in (5, 4, 1, 0, 6)]


def test_frames_in_a_file_are_written_as_those_in_memory(tmp_path):
    contents = []
    for folder in (None, tmp_path):
        with EncapsulatedFrames(len(CODESTREAMS), folder) as frames:
            for codestream in CODESTREAMS:
                frames.add(codestream)
            assert [frames[number] for number in range(5)] == CODESTREAMS
            instance = dataset(PIXELS)
            frames.put_into(instance)
            contents.append(instance.PixelData.read())
            assert list(tmp_path.iterdir()) == []  # a file without a name, which no kill leaves behind
    assert contents[0] == contents[1]
    assert parse_basic_offsets(contents[0]) == [0, 14, 26, 36, 44]


def test_offsets_that_32_bits_do_not_hold_are_in_an_extended_table(monkeypatch):
    for largest, extended in ((44, False), (43, True)):
        monkeypatch.setattr(encapsulation, "MAX_BASIC_OFFSET", largest)
        with EncapsulatedFrames(len(CODESTREAMS)) as frames:
            for codestream in CODESTREAMS:
                frames.add(codestream)
            instance = dataset(PIXELS)
            frames.put_into(instance)
            contents = instance.PixelData.read()
        assert ("ExtendedOffsetTable" in instance) == extended
        assert parse_basic_offsets(contents) == ([] if extended else [0, 14, 26, 36, 44])
        if extended:
            assert np.frombuffer(instance.ExtendedOffsetTable, "<u8").tolist() == [0, 14, 26, 36, 44]
            assert np.frombuffer(instance.ExtendedOffsetTableLengths, "<u8").tolist() == [6, 4, 2, 0, 6]


def test_memory_does_not_grow_with_the_frames(tmp_path):
    one = bytes(2**20)
    instance = dataset(PIXELS, NumberOfFrames=24)
    instance.file_meta.TransferSyntaxUID, instance.preamble = JPEG2000, bytes(128)
    tracemalloc.start()
    try:
        with EncapsulatedFrames(24, tmp_path) as frames:
            for _ in range(24):
                frames.add(one)
            frames.put_into(instance)
            write_instance(tmp_path / "a.dcm", instance)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(one)
    assert list(generate_frames(dcmread(tmp_path / "a.dcm").PixelData, number_of_frames=24)) == [one] * 24
