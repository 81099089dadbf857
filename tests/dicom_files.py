"""DICOM files for the tests, written by pydicom."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from mammo_jax.compression.encapsulation import EncapsulatedFrames

SECRETS = {
    "PatientName": "Geheim^Gerda",
    "PatientID": "PID-987654",
    "PatientBirthDate": "19610203",
    "AccessionNumber": "ACC123456",
    "InstitutionName": "Secret Hospital",
    "StudyDate": "20200102",
    "StudyDescription": "screening of Gerda Geheim",
}


def dataset(pixels: np.ndarray, *, bits_stored: int = 12, **elements: object) -> Dataset:
    """Make a mammography object around uint8 or uint16 pixels; an element given as None is left out."""
    instance = Dataset()
    instance.file_meta = FileMetaDataset()
    instance.file_meta.MediaStorageSOPClassUID = instance.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.2")
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID = generate_uid(entropy_srcs=["test"])
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    view = Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "399368009", "SCT", "medio-lateral oblique"
    values: dict[str, object] = {
        "Modality": "MG",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": 8 * pixels.itemsize,
        "BitsStored": bits_stored,
        "HighBit": bits_stored - 1,
        "PixelRepresentation": 0,
        "ImagerPixelSpacing": [0.085, 0.085],
        "ImageLaterality": "L",
        "ViewCodeSequence": Sequence([view]),
        "PixelData": pixels.tobytes() + b"\0" * (pixels.nbytes % 2),
        **SECRETS,
        **elements,
    }
    for name, value in values.items():
        if value is not None:
            setattr(instance, name, value)
    instance["PixelData"].VR = "OW" if pixels.itemsize == 2 else "OB"
    return instance


def write(path: Path, instance: Dataset) -> Path:
    instance.save_as(path, enforce_file_format=True)
    return path


def encapsulated(instance: Dataset, syntax: str, codestream: bytes) -> Dataset:
    """Put an already compressed frame into the object."""
    instance.file_meta.TransferSyntaxUID = UID(syntax)
    instance.PixelData = encapsulate([codestream])
    instance["PixelData"].VR = "OB"
    return instance


def frames_in_memory(codestreams: Iterable[bytes]) -> EncapsulatedFrames:
    """Codestreams as `compressed_instance` takes them."""
    codestreams = list(codestreams)
    frames = EncapsulatedFrames(len(codestreams))
    for codestream in codestreams:
        frames.add(codestream)
    return frames
