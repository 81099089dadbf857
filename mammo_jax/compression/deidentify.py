"""De-identification by the Basic Application Level Confidentiality Profile (PS3.15 Annex E), pixels untouched.

Which element is removed, emptied, replaced or kept comes from Table E.1-1 of PS3.15 2026c as the package
dicom-anonymizer has it. Its actions work on the elements of the outermost data set; here they are applied to every item
of every sequence, dates are really removed, and UIDs are replaced by keyed hashes, so that objects which refer to each
other still do, over all runs with one key. No list of elements can know what was typed into a field that is meant for
something else; so text that repeats a name or number of the patient is taken out wherever it stands.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from collections.abc import Callable, Iterator

from dicomanonymizer.simpledicomanonymizer import initialize_actions, replace_element
from pydicom import DataElement, Dataset, uid
from pydicom.datadict import dictionary_has_tag
from pydicom.multival import MultiValue
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.valuerep import VR

from mammo_jax.sources.identifiers import keyed_hash
from mammo_jax.sources.mammogram import SourceError

TABLE = "dicomfields_2026c"
METHOD = "PS3.15 2026c Basic Profile by mammo_jax; pixels not searched"  # at most 64 characters
# Actions of Table E.1-1 by their names in dicom-anonymizer: X, then Z and what is Z or more, D, U, and U in sequences.
_REMOVE = {"delete"}
_EMPTY = {"empty", "delete_or_empty", "empty_or_replace"}
_REPLACE_UID = {"replace_UID"}
_KEEP = {"delete_or_empty_or_replace_UID"}  # references, whose items are treated like the data set
_ACTIONS = {tag: action.__name__ for tag, action in initialize_actions(TABLE).items() if len(tag) == 2}
_REPEATING_GROUPS = (0x5000, 0x6000)  # curves and overlays, as a whole: what is left without their data shows nothing
_META = {
    "MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID", "FileMetaInformationVersion",
    "FileMetaInformationGroupLength", "ImplementationClassUID",
}  # fmt: skip
_IDENTIFIERS = {
    "PatientID", "OtherPatientIDs", "IssuerOfPatientID", "AdmissionID", "MedicalRecordLocator", "AccessionNumber",
    "StudyID", "PatientBirthDate", "PatientTelephoneNumbers", "PatientAddress", "InstitutionName",
}  # fmt: skip
_TEXT = {
    VR.AE, VR.AS, VR.CS, VR.DA, VR.DT, VR.LO, VR.LT, VR.PN, VR.SH, VR.ST, VR.UC, VR.UI, VR.UN, VR.UR, VR.UT,
}  # fmt: skip
_WHOLE_WORD = 4  # shorter identifiers are found as whole words only
_NEVER = r"(?!)"
_STANDARD_ROOT = "1.2.840.10008."


def check_no_burned_in_annotation(instance: Dataset) -> None:
    """Raise SourceError where the header says that the pixels themselves show who the patient is."""
    for keyword in ("BurnedInAnnotation", "RecognizableVisualFeatures"):
        if instance.get(keyword) == "YES":
            raise SourceError(
                f"{keyword} is YES, and --deidentify does not change pixels; blank that area with other software first"
            )


def deidentify(instance: Dataset, key: bytes) -> None:
    """Take the identity out of a DICOM object, in place.

    Removed are the elements of Table E.1-1, private ones, those the standard does not know, overlays, curves and the
    preamble. PatientID and PatientName become the keyed hash that also is the patient's id in the tables.

    Parameters
    ----------
    instance : pydicom.Dataset
        All elements but the pixels.
    key : bytes
        Of the hashes, from `mammo_jax.sources.identifiers.load_key`.

    Raises
    ------
    SourceError
        The header says that text is burned into the pixels.
    """
    check_no_burned_in_annotation(instance)
    patient = str(instance.get("PatientID") or "")
    _apply_profile(instance, _pattern(instance), key)
    if patient:
        instance.PatientID = instance.PatientName = keyed_hash(patient, key, "patient")
    instance.preamble = b"\0" * 128
    for element in list(instance.file_meta):
        if element.keyword not in _META:
            del instance.file_meta[element.tag]
    instance.PatientIdentityRemoved = "YES"
    instance.DeidentificationMethod = METHOD
    instance.DeidentificationMethodCodeSequence = [_item(codes.DCM.BasicApplicationConfidentialityProfile)]
    instance.LongitudinalTemporalInformationModified = "REMOVED"


def hashed_uid(value: str, key: bytes) -> uid.UID:
    """Return the UID that stands for another: 122 bits of HMAC-SHA256 as a UUID (PS3.5 B.2)."""
    digest = hmac.new(key, f"uid\0{value}".encode(), hashlib.sha256).digest()
    return uid.UID(f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}")


def _apply_profile(instance: Dataset, repeated: re.Pattern[str], key: bytes) -> None:
    instance.remove_private_tags()
    for tag in list(instance.keys()):
        if not dictionary_has_tag(tag) or any(group <= tag.group < group + 0x100 for group in _REPEATING_GROUPS):
            del instance[tag]
            continue
        element = instance[tag]
        action = _ACTIONS.get((tag.group, tag.element))
        if action is None:
            _remove_repeated(element, repeated, key)
        elif action in _REMOVE:
            del instance[tag]
        elif action in _EMPTY:
            element.value = [] if element.VR == VR.SQ else None
        elif action in _REPLACE_UID:
            _change_values(element, lambda value: hashed_uid(value, key))
        elif action not in _KEEP:
            _replace(instance, element, key)
    for element in instance:
        for item in element.value if element.VR == VR.SQ else ():
            _apply_profile(item, repeated, key)


def _replace(instance: Dataset, element: DataElement, key: bytes) -> None:
    """Put a dummy in place of a value, as the library does, but a keyed hash in place of a UID (its own is random)."""
    if element.VR == VR.SQ:
        for item in element.value:
            for inner in item:
                _replace(item, inner, key)
    elif element.VR == VR.UI:
        _change_values(element, lambda value: hashed_uid(value, key))
    else:
        try:
            replace_element(element)
        except NotImplementedError:  # a VR for which it has no dummy
            del instance[element.tag]


def _change_values(element: DataElement, change: Callable[[str], str]) -> None:
    """Change each value of an element that is not empty."""
    changed = [change(str(value)) if value else "" for value in _values(element)]
    element.value = changed if len(changed) > 1 else changed[0]


def _values(element: DataElement) -> list:
    return list(element.value) if isinstance(element.value, MultiValue) else [element.value]


def _all_elements(instance: Dataset) -> Iterator[DataElement]:
    for element in instance:
        yield element
        for item in element.value if element.VR == VR.SQ else ():
            yield from _all_elements(item)


def _pattern(instance: Dataset) -> re.Pattern[str]:
    """Return what finds the object's names and numbers of persons in text."""
    words = set()
    for element in _all_elements(instance):
        if element.VR == VR.PN or element.keyword in _IDENTIFIERS:
            for value in _values(element):
                text = str(value or "").casefold().strip()
                words |= set(re.split(r"[\^=\s,]+", text) if element.VR == VR.PN else [text])
    longest_first = sorted((word for word in words if len(word) > 1), key=lambda word: (-len(word), word))
    within = [re.escape(word) if len(word) >= _WHOLE_WORD else rf"\b{re.escape(word)}\b" for word in longest_first]
    return re.compile("|".join(within) or _NEVER)


def _remove_repeated(element: DataElement, repeated: re.Pattern[str], key: bytes) -> None:
    """Empty a text element, or replace a UID, in which a name or number of a person stands."""
    if element.VR not in _TEXT or not element.value or element.keyword == "SpecificCharacterSet":
        return
    value = element.value.decode("latin-1") if isinstance(element.value, bytes) else element.value
    found = [match[0] for match in repeated.finditer(str(value).casefold())]
    if element.VR == VR.CS:  # short words are defined terms there, as MG
        found = [word for word in found if len(word) >= _WHOLE_WORD]
    if found and element.VR == VR.UI:
        _change_values(element, lambda value: value if value.startswith(_STANDARD_ROOT) else hashed_uid(value, key))
    elif found:
        element.value = None


def _item(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
