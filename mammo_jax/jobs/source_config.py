"""How the sources that are not published data sets are read or drawn: groups of a study's flags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class PhantomConfig:
    """The built-in phantom, and the lesions that `hybrid` plants into real tissue.

    Attributes
    ----------
    images : int
        Phantom images; four a patient.
    rows, columns : int
        Size of a phantom image in pixels.
    phantom_pitch : float
        Size of a phantom's pixel in mm.
    contrast : float
        Scale of every lesion's contrast; 1 is like the literature.
    plantings : int
        hybrid: items made from each normal mammogram.
    phantom_seed : int
        Another seed makes other patients.
    """

    images: int = 640
    rows: int = 1664
    columns: int = 1280
    phantom_pitch: float = 0.14
    contrast: float = 1.0
    plantings: int = 3
    phantom_seed: int = 0


@dataclass(frozen=True)
class FolderConfig:
    """How the image files of `folder` are read.

    Attributes
    ----------
    bits_stored : int or None
        Significant bits of 16-bit PNG and TIFF files whose CSV row does not say; None infers them from each image's
        largest pixel.
    plain_ids : bool
        Keep the CSV's ids instead of keyed hashes: only for ids that identify nobody.
    id_key : Path or None
        File with the key of the hashes; None makes one for this user, once.
    frames : {"central", "mip", "all"}
        Of DICOM files with several, as in tomosynthesis: the central one, the largest values of all, or each.
    """

    bits_stored: int | None = None
    plain_ids: bool = False
    id_key: Path | None = None
    frames: Literal["central", "mip", "all"] = "central"
