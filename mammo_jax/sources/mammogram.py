"""The one thing that every source yields and everything downstream knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import numpy as np

from mammo_jax.errors import UserError

Label = Literal["normal", "benign", "malignant"]
LABELS: tuple[Label, ...] = get_args(Label)


class SourceError(UserError):
    """An image or a table that cannot be used; the message names the file, the field and the way out."""


@dataclass(frozen=True)
class Lesion:
    """One marked lesion: a circle, and the exact mask where it is known.

    Attributes
    ----------
    row, column : float
        Centre in pixels of the whole image, from the top left.
    radius : float
        Radius in pixels of a circle that encloses the lesion.
    label : {"benign", "malignant"}
    mask : bool array [rows, columns] or None
        The exact outline in whole-image pixels, where the source knows it.
    """

    row: float
    column: float
    radius: float
    label: Label
    mask: np.ndarray | None = None

    def filled(self, shape: tuple[int, int]) -> np.ndarray:
        """Mask of the lesion as bool [rows, columns]: the exact one, or else the filled circle."""
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
        Free of patient identifiers.
    label : {"normal", "benign", "malignant"}
        The worst finding in the image.
    pixel_pitch : float or None
        Distance of pixel centres in the detector plane in mm, if known.
    laterality : {"L", "R"} or None
    view : str or None
        ``"CC"``, ``"MLO"``, …
    lesions : tuple of Lesion
    null_sites : tuple of (row, column)
        Where a normal image would have its lesion: places in pixels from the distribution of the lesions' centres, so
        that normal patches can be cut there; empty where the source does not know.
    already_lossy : bool
        The pixels went through lossy compression before we saw them.
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

    def __post_init__(self) -> None:
        """Hold the contract, so that nothing downstream has to ask again."""
        if self.pixels.ndim != 2 or self.pixels.dtype not in (np.uint8, np.uint16):
            raise SourceError(
                f"{self.image_id}: pixels are {self.pixels.dtype} {self.pixels.shape}; "
                "a greyscale uint8 or uint16 image [rows, columns] is needed"
            )
        if not 1 <= self.bits_stored <= 8 * self.pixels.itemsize:
            raise SourceError(f"{self.image_id}: bits_stored {self.bits_stored} does not fit {self.pixels.dtype}")
        if self.label not in LABELS:
            raise SourceError(f"{self.image_id}: label {self.label!r} is none of {', '.join(LABELS)}")

    @property
    def bits_allocated(self) -> int:
        """Bits that the archive spends on a sample."""
        return 8 * self.pixels.itemsize


class Source(Protocol):
    """A set of mammograms that can be listed without reading a pixel.

    ``len(source)`` images; ``source[i]`` reads or makes image ``i`` and may be called in any process and in any
    order. Sources are picklable and cheap to pickle (paths and parameters, no pixels).
    """

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: int) -> Mammogram:
        """Read or make one image; raises SourceError where that cannot be done."""

    def patients(self) -> list[str]:
        """Patient id of every image, without reading pixels."""

    def labels(self) -> list[Label]:
        """Label of every image, without reading pixels."""

    def table(self) -> list[dict[str, Any]]:
        """One row an image, without reading pixels: everything that is known of it beside its pixels, ready for JSON.

        Each row has image_id, patient_id, label and files: the paths that an error of this image may name.
        """


def iterate(source: Source) -> Iterator[Mammogram]:
    """Yield every image of a source in order."""
    for index in range(len(source)):
        yield source[index]
