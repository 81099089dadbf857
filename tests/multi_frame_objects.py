"""A tomosynthesis object of four frames, and its compression in this process."""

import csv

import numpy as np
from dicom_files import dataset, write
from pydicom import Dataset, uid

from mammo_jax.compression.batch import compress_files
from mammo_jax.compression.listing import list_files
from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.compression.verification import verify_results
from mammo_jax.limited_processes import Limits

FRAMES = np.add.outer(np.arange(4) * 100, np.add.outer(np.arange(64) * 9, np.arange(81) * 7)).astype(np.uint16)
FRAMES ^= np.random.default_rng(0).integers(0, 32, FRAMES.shape, dtype=np.uint16)
TOMOSYNTHESIS = uid.UID("1.2.840.10008.5.1.4.1.1.13.1.3")


def group(number: int) -> Dataset:
    position = Dataset()
    position.ImagePositionPatient = [0, 0, number]
    item = Dataset()
    item.PlanePositionSequence = [position]
    return item


def tomosynthesis_object():
    return dataset(
        FRAMES[0],
        SOPClassUID=TOMOSYNTHESIS,
        NumberOfFrames=len(FRAMES),
        PixelData=FRAMES.tobytes(),
        PerFrameFunctionalGroupsSequence=[group(number) for number in range(len(FRAMES))],
    )


def run(folder, instance, **settings):
    (folder / "in").mkdir()
    write(folder / "in" / "a.dcm", instance)
    plan = CompressionPlan(**{"out": folder / "out", "ratios": (15.0,), "key": None, **settings})
    assert compress_files(plan, list_files([folder / "in"], plan), 1, Limits()) == []
    assert verify_results(plan.out, 1, Limits()) == []
    with (plan.out / "sizes.csv").open() as stream:
        return list(csv.DictReader(stream))
