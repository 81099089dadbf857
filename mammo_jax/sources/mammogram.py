"""The mammogram and the source: the interface between image data and all later stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import numpy as np

from mammo_jax.errors import UserError

Label = Literal["normal", "benign", "malignant"]
LABELS: tuple[Label, ...] = get_args(Label)


class SourceError(UserError):
    """An image or a table that cannot be used; the message names the file, the field and what to do."""


@dataclass(frozen=True)
class Lesion:
    """One marked lesion: a circle, and the exact mask if it is known.

    Attributes
    ----------
    row, column : float
        Centre in pixels of the whole image, from the top left.
    radius : float
        Radius in pixels of a circle that encloses the lesion.
    label : {"benign", "malignant"}
    mask : bool array [rows, columns] or None
        The exact region in pixels of the whole image, if the source knows it.
    kind : str or None
        What it is, such as "mass" or "calcifications", if the source knows it.
    """

    row: float
    column: float
    radius: float
    label: Label
    mask: np.ndarray | None = None
    kind: str | None = None

    def filled(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the lesion's mask as bool [rows, columns]: the exact one, or else the filled circle."""
        if self.mask is not None:
            return self.mask
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        return (rows - self.row) ** 2 + (columns - self.column) ** 2 <= self.radius**2


@dataclass(frozen=True)
class Mammogram:
    """One view of one breast.

    Attributes
    ----------
    pixels : uint8 or uint16 array [rows, columns]
        Grey levels in the MONOCHROME2 sense: larger is brighter, dense tissue is bright.
    bits_stored : int
        Significant bits of a sample; every pixel is below ``2**bits_stored``.
    image_id, patient_id : str
        Without information that identifies the patient.
    label : {"normal", "benign", "malignant"}
        The most severe finding in the image.
    pixel_pitch : float or None
        Distance between pixel centres in the detector plane in mm, if known.
    laterality : {"L", "R"} or None
    view : str or None
        ``"CC"``, ``"MLO"``, …
    lesions : tuple of Lesion
    null_sites : tuple of (row, column)
        Positions in pixels in a normal image, drawn from the distribution of the lesions' centres: the centres of
        normal patches. Empty if the source has none.
    already_lossy : bool
        True if the pixels were lossily compressed before they came to this source.
    bits_inferred : bool
        True if nothing says how many bits are stored, so that the largest pixel had to.
    density : str or None
        Of the breast, in the source's words, such as "fatty".
    padding_range : tuple of int or None
        Smallest and largest value of pixels that only fill up the rectangle, if the source says so.
    """

    pixels: np.ndarray
    bits_stored: int
    image_id: str
    patient_id: str
    label: Label
    pixel_pitch: float | None = None
    laterality: Literal["L", "R"] | None = None
    view: str | None = None
    lesions: tuple[Lesion, ...] = field(default=())
    null_sites: tuple[tuple[float, float], ...] = ()
    already_lossy: bool = False
    bits_inferred: bool = False
    density: str | None = None
    padding_range: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Check the fields, so that later stages need not."""
        if self.pixels.ndim != 2 or self.pixels.dtype not in (np.uint8, np.uint16):
            raise SourceError(
                f"{self.image_id}: pixels are {self.pixels.dtype} {self.pixels.shape}; "
                "a greyscale uint8 or uint16 image [rows, columns] is needed"
            )
        if not 1 <= self.bits_stored <= 8 * self.pixels.itemsize:
            raise SourceError(f"{self.image_id}: bits_stored {self.bits_stored} does not fit {self.pixels.dtype}")
        if self.label not in LABELS:
            raise SourceError(f"{self.image_id}: label {self.label!r} is not one of {', '.join(LABELS)}")

    def with_padding(self, reconstruction: np.ndarray) -> np.ndarray:
        """Return a reconstruction, uint8 or uint16 [rows, columns], with the padding pixels as they were."""
        if self.padding_range is None:
            return reconstruction
        smallest, largest = self.padding_range
        return np.where((self.pixels >= smallest) & (self.pixels <= largest), self.pixels, reconstruction)

    @property
    def bits_allocated(self) -> int:
        """Number of bits allocated for a sample in the archive."""
        return 8 * self.pixels.itemsize


class Source(Protocol):
    """A sequence of mammograms whose table can be read without reading pixels.

    ``source[i]`` reads or generates image ``i`` and may be called in any process and in any order; an index beyond the
    last raises IndexError, so that a source can be iterated over. Pickling a source is cheap: it contains paths and
    parameters, no pixels.
    """

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: int) -> Mammogram:
        """Read or generate one image; raise SourceError if that is not possible."""

    def patients(self) -> list[str]:
        """Return the patient id of every image, without reading pixels."""

    def labels(self) -> list[Label]:
        """Return the label of every image, without reading pixels."""

    def table(self) -> list[dict[str, Any]]:
        """Return one row per image with all its metadata, ready for JSON, without reading pixels.

        Each row has image_id, patient_id, label and files: the paths that an error about this image may name, that of
        the image itself first; none for an image that is drawn.
        """
