"""A small archive for the tests, and one call that scans a folder."""

from pathlib import Path

import numpy as np
from dicom_files import dataset, write
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from mammo_jax.scan.facts import ScannedFile, describe
from mammo_jax.scan.inventory import ScanPlan, read_rows, scan_files

KEY = b"k" * 32


def pixels(seed: int, shape: tuple[int, int] = (24, 32)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4096, shape).astype(np.uint16)


def mammogram(seed: int, *, patient="P1", study="1.2.3", side="L", view="CC", shape=(24, 32), **elements) -> Dataset:
    code = Dataset()
    code.CodeValue = {"CC": "399162004", "MLO": "399368009"}[view]
    values = {
        "PatientID": patient,
        "StudyInstanceUID": UID(study),
        "SOPInstanceUID": UID(f"1.2.3.4.{seed}"),
        "ImageLaterality": side,
        "ViewCodeSequence": Sequence([code]),
    }
    return dataset(pixels(seed, shape), **values | elements)


def save(path: Path, instance: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write(path, instance)


def scanned(path: Path) -> ScannedFile:
    return ScannedFile(path, "0123456789abcdef", path.name, "v", path.stat().st_size if path.exists() else 0)


def row_of(path: Path, check="headers") -> dict:
    return describe(scanned(path), KEY, check)


def scan(folder: Path, out: Path, **options) -> list[dict[str, str]]:
    """Scan in this process, and return the table's rows."""
    plan = ScanPlan(folder, out, KEY, **options)
    scan_files(plan, 1)
    return list(read_rows(plan.table))
