"""DICOM files whose patient stands in every text, date and UID element, and wherever else text fits."""

from pathlib import Path

import numpy as np
from dicom_files import dataset, write
from pydicom import DataElement, Dataset
from pydicom.datadict import DicomDictionary
from pydicom.uid import UID

FILES = 50
PIXELS = np.add.outer(np.arange(40) * 9, np.arange(48) * 7).astype(np.uint16)
BIRTH = "19610203"
TEXT = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
# Without them nobody could read the file at all, and SpecificCharacterSet has no place for a name.
OF_THE_FORMAT = {
    "SpecificCharacterSet", "Modality", "PhotometricInterpretation", "SOPClassUID", "BurnedInAnnotation",
    "RecognizableVisualFeatures", "PatientName", "PatientID", "PixelPresentation", "PatientBirthDate",
    "LossyImageCompression", "SOPInstanceUID",
}  # fmt: skip
# Every text, date and UID element of the standard, retired ones too; groups below 0008 are no part of a data set.
ELEMENTS = [
    (tag, entry[0])
    for tag, entry in sorted(DicomDictionary.items())
    if tag >= 0x00080000 and entry[0] in (*TEXT, "DA", "DT", "UI") and entry[4] not in OF_THE_FORMAT
]


def canary(number: int) -> Dataset:
    """Its patient's name, number and birth date stand in a 50th of all elements, and where else text fits."""
    name, patient = f"GEHEIM{number:02}^GERDA", f"77{number:02}4711"
    values = dict.fromkeys(TEXT, f"X {patient}") | {
        "PN": name, "CS": f"GEHEIM{number:02}", "DA": BIRTH, "DT": BIRTH + "120000", "UI": f"1.2.{patient}.3",
        "ST": f"Frau Geheim{number:02}", "UR": f"http://a/{patient}",
    }  # fmt: skip
    instance = dataset(
        PIXELS + np.uint16(number), PatientName=name, PatientID=patient, PatientBirthDate=BIRTH, StudyDescription=name
    )
    item = Dataset()
    for tag, vr in ELEMENTS[number::FILES]:
        instance[tag] = DataElement(tag, vr, values[vr])
        item[tag] = DataElement(tag, vr, values[vr])
    inner = Dataset()
    inner.ReferencedImageSequence = [item]
    instance.AnatomicRegionSequence = [inner]
    block = instance.private_block(0x0011, f"GEHEIM{number:02}", create=True)
    block.add_new(1, "LO", name)
    instance.add_new(0x00190001, "UN", name.encode())
    instance.add_new(0x60004000, "LT", name)
    instance.preamble = name.encode().ljust(128, b"\0")
    instance.file_meta.SourceApplicationEntityTitle = f"GEHEIM{number:02}"
    instance.file_meta.PrivateInformationCreatorUID = UID(f"1.2.{patient}")
    instance.file_meta.PrivateInformation = name.encode()
    return instance


def canaries(folder: Path) -> None:
    for number in range(FILES):
        path = folder / f"Geheim{number:02}_Gerda" / f"77{number:02}4711.dcm"
        path.parent.mkdir(parents=True)
        write(path, canary(number))


def hits(contents: bytes) -> list[bytes]:
    lower = contents.lower()
    words = [b"gerda", BIRTH.encode(), *(f"geheim{n:02}".encode() for n in range(FILES))]
    return [word for word in (*words, *(f"77{n:02}4711".encode() for n in range(FILES))) if word in lower]
