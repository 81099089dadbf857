"""The syntaxes in which files are written: JPEG 2000 with our codec; HTJ2K and JPEG XL through other libraries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydicom import uid

from mammo_jax.compression.ladder import CodecName
from mammo_jax.sources.dicom_frames import JPEG_XL

SyntaxName = Literal["j2k", "j2k-lossless", "htj2k", "jpegxl"]


@dataclass(frozen=True)
class Syntax:
    """How pixels are coded in results.

    Attributes
    ----------
    title : str
        For DerivationDescription.
    transfer_syntax : pydicom.uid.UID
        PS3.6, table A-1.
    method : str
        Lossy Image Compression Method (0028,2114), by the defined terms of PS3.3 C.7.6.1.1.5.2.
    codec : str
        Whose codestreams they are.
    extension : str
        Of files that are no DICOM.
    """

    title: str
    transfer_syntax: uid.UID
    method: str
    codec: CodecName
    extension: str

    @property
    def exact(self) -> bool:
        """Whether a codestream has exactly the size asked for, rather than the nearest below."""
        return self.codec == "mammo_jax"


SYNTAXES: dict[SyntaxName, Syntax] = {
    "j2k": Syntax("JPEG 2000", uid.JPEG2000, "ISO_15444_1", "mammo_jax", ".j2k"),
    "j2k-lossless": Syntax("JPEG 2000", uid.JPEG2000Lossless, "ISO_15444_1", "mammo_jax", ".j2k"),
    "htj2k": Syntax("HTJ2K", uid.HTJ2K, "ISO_15444_15", "htj2k", ".jhc"),
    "jpegxl": Syntax("JPEG XL", JPEG_XL, "ISO_18181_1", "jpegxl", ".jxl"),
}
LOSSLESS: SyntaxName = "j2k-lossless"
