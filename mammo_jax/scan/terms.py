"""Free texts and codes of a header as the terms that a table may show.

In a damaged or careless header any element may contain a patient's name. So a table shows only terms that are listed
here or in the standard, and "another" for everything else.
"""

from __future__ import annotations

import re

from mammo_jax.sources.dicom_header import standard_name

OTHER = "another"
MODALITIES = (
    "MG", "CR", "DX", "RG", "XA", "RF", "SC", "OT", "US", "MR", "CT", "NM", "PT", "SR", "PR", "KO", "SEG", "DOC",
)  # fmt: skip
PHOTOMETRIC = (
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT",
    "YBR_RCT", "XYB",
)  # fmt: skip
LOSSY_METHODS = (  # PS3.3 C.7.6.1.1.5.1
    "ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_15", "ISO_18181_1", "ISO_13818_2", "ISO_14496_10",
    "ISO_23008_2",
)  # fmt: skip
_VENDORS = {
    "hologic": "Hologic", "lorad": "Hologic", "ge": "GE", "general electric": "GE", "siemens": "Siemens",
    "fujifilm": "Fujifilm", "fuji": "Fujifilm", "philips": "Philips", "sectra": "Sectra", "planmed": "Planmed",
    "ims": "IMS Giotto", "giotto": "IMS Giotto", "carestream": "Carestream", "kodak": "Carestream", "agfa": "Agfa",
    "konica": "Konica Minolta", "metaltronica": "Metaltronica", "fischer": "Fischer Imaging", "canon": "Canon",
    "toshiba": "Canon", "samsung": "Samsung", "analogic": "Analogic", "genoray": "Genoray",
    "drtech": "DRTECH", "vieworks": "Vieworks", "imaging dynamics": "Imaging Dynamics", "icrco": "iCRco",
    "howtek": "Howtek", "lumisys": "Lumisys", "vidar": "Vidar", "icad": "iCAD",
}  # fmt: skip


def term(value: object, terms: tuple[str, ...]) -> str:
    """Return a value that is one of the terms, "" for none, and "another" for anything else."""
    text = str(value or "").strip()
    return text if text in terms or not text else OTHER


def vendor(manufacturer: object) -> str:
    """Return the short name of a maker of mammography devices or film scanners, by the words in Manufacturer."""
    text = str(manufacturer or "").lower()
    if not text.strip():
        return ""
    words = f" {' '.join(re.findall('[a-z]+', text))} "
    return next((name for word, name in _VENDORS.items() if f" {word} " in words), OTHER)


def uid_name(value: object) -> str:
    """Return the standard's name of a UID, "" for none, and "another" for anything else."""
    text = str(value or "").strip()
    return standard_name(text) or term(text, ())
