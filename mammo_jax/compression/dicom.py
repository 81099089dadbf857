"""DICOM objects whose pixel data are compressed anew; everything else in them stays, unless it is wrong then."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmwrite, uid
from pydicom.config import disable_value_validation
from pydicom.dataset import validate_file_meta
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.valuerep import AMBIGUOUS_VR

from mammo_jax.compression.derivation import mark_as_derived, move_to_new_series
from mammo_jax.compression.encapsulation import EncapsulatedFrames
from mammo_jax.compression.icons import make_icons_native
from mammo_jax.compression.lossy_history import lossy_method, record_earlier_steps
from mammo_jax.compression.overlays import NATIVE, groups_in_pixels
from mammo_jax.compression.syntaxes import LOSSLESS, SYNTAXES, SyntaxName
from mammo_jax.files import atomic_path
from mammo_jax.sources.mammogram import SourceError

_TAG_OF_ERROR = re.compile(r"With tag \(?([0-9A-Fa-f]{4}),? ?([0-9A-Fa-f]{4})\)?")
PRIVATE_META = ("PrivateInformationCreatorUID", "PrivateInformation")
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}  # bytes of the values that pydicom keeps as they lie in the file


@contextmanager
def _damaged_elements() -> Iterator[None]:
    """Convert the exceptions of pydicom for elements whose values are not as their VR says, to SourceError.

    pydicom makes values of bytes when an element is used. Its messages may quote them, so that only the tag is kept.
    """
    try:
        with disable_value_validation(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module="pydicom")
            yield
    except (SourceError, MemoryError):
        raise
    except Exception as error:
        if isinstance(disk := error.__cause__ or error, OSError) and disk.errno is not None:
            raise disk from None  # pydicom puts its own, without a number, around it
        tag = _TAG_OF_ERROR.match(str(error))
        element = f"the element ({tag[1]},{tag[2]})" if tag else "an element"
        raise SourceError(
            f"{element} is damaged ({type(error).__name__}), and cannot be written; export the file again"
        ) from None


@_damaged_elements()
def compressed_instance(
    instance: Dataset,
    frames: EncapsulatedFrames,
    *,
    syntax: SyntaxName,
    ratio: float,
    drop_private: bool = False,
    new_series: str | None = None,
) -> Dataset:
    """Return a copy of a DICOM object whose pixel data are codestreams, one for each frame.

    All other elements stay, unless the standard says otherwise: docs/DICOM.md has the table. With lossy compression the
    copy is a new, derived object (`mark_as_derived`).

    Parameters
    ----------
    instance : pydicom.Dataset
        As from `mammo_jax.sources.dicom.read_instance`.
    frames : EncapsulatedFrames
        Codestreams of the object's own pixels. They have to stay open until the copy is written.
    syntax : SyntaxName
        Theirs.
    ratio : float
        Compression ratio reached, for Lossy Image Compression Ratio (0028,2112).
    drop_private : bool
        Remove the private elements.
    new_series : str or None
        Settings that make a series of their own of the derived objects; None leaves them in their series.

    Raises
    ------
    SourceError
        An element that every object needs is missing, an element is damaged, or the object has an overlay in unused
        bits of its pixels, which would be lost.
    """
    check_convertible(instance)
    if groups_in_pixels(instance):
        raise SourceError("keeps an overlay in unused bits of its pixels; move it to OverlayData first")
    compressed = copy.deepcopy(instance)
    old_syntax = instance.file_meta.TransferSyntaxUID
    _set_file_meta(compressed, SYNTAXES[syntax].transfer_syntax)
    if drop_private:
        compressed.remove_private_tags()
        for keyword in PRIVATE_META:
            compressed.file_meta.pop(keyword, None)
    if not instance.original_encoding[1]:
        _swap_bytes(compressed)
    make_icons_native(compressed, old_syntax)
    _choose_representations(compressed)
    if syntax != LOSSLESS:
        mark_as_derived(compressed, old_syntax, frames.sha256, SYNTAXES[syntax], ratio)
        if new_series is not None:
            move_to_new_series(compressed, new_series)
    elif lossy_method(instance, old_syntax) is not None:
        record_earlier_steps(compressed, old_syntax)  # which the new syntax shows no more
    frames.put_into(compressed)
    return compressed


def _set_file_meta(instance: Dataset, syntax: uid.UID) -> None:
    meta = instance.file_meta
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = uid.PYDICOM_IMPLEMENTATION_UID
    meta.pop("ImplementationVersionName", None)
    meta.MediaStorageSOPClassUID = instance.SOPClassUID
    meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID


def write_instance(path: Path, instance: Dataset) -> None:
    """Write a DICOM file, complete or not at all.

    Raises
    ------
    SourceError
        An element is damaged. Errors of the disk are OSErrors.
    """
    with atomic_path(path) as temporary, _damaged_elements():
        meta = instance.file_meta
        meta.FileMetaInformationGroupLength = 0  # pydicom replaces a value that is there
        validate_file_meta(meta, enforce_standard=True)
        instance.preamble = instance.preamble or bytes(128)
        # Every compressed syntax is explicit and little-endian (PS3.5 A.4); pydicom does not know all of them.
        dcmwrite(temporary, instance, force_encoding=True, implicit_vr=False, little_endian=True)


def check_convertible(instance: Dataset) -> None:
    """Raise SourceError for an object that cannot be written again with compressed pixel data."""
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if not instance.get(keyword):
            raise SourceError(f"{keyword} is missing, which every DICOM object needs; export it again")
    if groups_in_pixels(instance) and instance.file_meta.TransferSyntaxUID not in NATIVE:
        raise SourceError(
            "says that an overlay is in unused bits of its pixels, which are compressed already; export it again "
            "uncompressed"
        )


def _swap_bytes(instance: Dataset) -> None:
    """Turn the values that pydicom keeps as bytes from big-endian to little-endian; it turns all others itself."""
    for element in instance.iterall():
        size = _WORDS.get(element.VR)
        if size and isinstance(element.value, bytes):
            element.value = np.frombuffer(element.value, f">u{size}").astype(f"<u{size}").tobytes()


def _choose_representations(instance: Dataset) -> None:
    """Choose the VR of elements that implicit VR left open, the retired curves among them (PS3.5 A.1, A.2)."""
    if not instance.original_encoding[0]:
        return
    correct_ambiguous_vr(instance, is_little_endian=True)
    for element in instance.iterall():
        if element.VR in AMBIGUOUS_VR:
            element.VR = "OW" if isinstance(element.value, bytes) else "US"
