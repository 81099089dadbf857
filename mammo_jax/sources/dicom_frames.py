"""The frames of DICOM objects, decoded one at a time, so that an object of any number takes the memory of a few."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from pydicom import Dataset, uid
from pydicom.encaps import get_frame, parse_basic_offsets
from pydicom.pixels import get_decoder

import codec
from mammo_jax.sources.dicom_header import BoundedFile, pydicom_errors
from mammo_jax.sources.jpeg_header import frame_header, missing_of_tile_parts
from mammo_jax.sources.mammogram import SourceError

_NATIVE = {
    uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian,
}  # fmt: skip
# PS3.6 table A-1; pydicom has no names for them.
JPEG_XL_LOSSLESS = uid.UID("1.2.840.10008.1.2.4.110")
JPEG_XL_RECOMPRESSION = uid.UID("1.2.840.10008.1.2.4.111")
JPEG_XL = uid.UID("1.2.840.10008.1.2.4.112")
_BY_IMAGECODECS: dict[str, Callable[[bytes], np.ndarray]] = {
    uid.JPEGBaseline8Bit: imagecodecs.jpeg8_decode,
    uid.JPEGExtended12Bit: imagecodecs.jpeg8_decode,
    uid.JPEGLossless: imagecodecs.jpeg8_decode,
    uid.JPEGLosslessSV1: imagecodecs.jpeg8_decode,
    uid.JPEGLSLossless: imagecodecs.jpegls_decode,
    uid.JPEGLSNearLossless: imagecodecs.jpegls_decode,
    uid.JPEG2000Lossless: imagecodecs.jpeg2k_decode,
    uid.JPEG2000: imagecodecs.jpeg2k_decode,
    uid.HTJ2KLossless: imagecodecs.jpeg2k_decode,
    uid.HTJ2KLosslessRPCL: imagecodecs.jpeg2k_decode,
    uid.HTJ2K: imagecodecs.jpeg2k_decode,
    JPEG_XL_LOSSLESS: imagecodecs.jpegxl_decode,
    JPEG_XL_RECOMPRESSION: imagecodecs.jpegxl_decode,
    JPEG_XL: imagecodecs.jpegxl_decode,
}
_JPEG_2000 = {uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K}
_JP2_SIGNATURE = b"jP  "  # the type of the first box, T.800 I.5.1
# Decoded samples may lie outside the range of the coded ones, because the cosine transform's coefficients are rounded.
_OVERSHOOTING = {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit}
READ_SYNTAXES = (*sorted(_NATIVE), uid.RLELossless, *_BY_IMAGECODECS)
MAX_OVERSHOOT = 1 / 8  # of the range; by more, BitsStored is wrong


def is_decodable(syntax: str) -> bool:
    """Return whether pixel data of a transfer syntax can be read."""
    return syntax in READ_SYNTAXES


class Frames(Sequence[np.ndarray]):
    """The stored values of an object's frames, each uint8 or uint16 [rows, columns] and below 2**BitsStored.

    A frame is read and decoded when it is asked for, and not kept.

    Parameters
    ----------
    path : Path
    header : pydicom.Dataset
        Checked, as from `dicom_header.read_header`.

    Raises
    ------
    SourceError
        There are fewer or more frames than NumberOfFrames says, or, when one is asked for, it is damaged.
    """

    def __init__(self, path: Path, header: Dataset):
        self._path, self._header = path, header
        self._syntax = header.file_meta.TransferSyntaxUID
        self._shape = (int(header.Rows), int(header.Columns))
        self._count = int(header.get("NumberOfFrames") or 1)
        self._bits = int(header.BitsStored)
        self._dtype = np.dtype(f"u{header.BitsAllocated // 8}")
        self._element: Any = header.get_item("PixelData", keep_deferred=True)
        if self._syntax in _NATIVE:
            self._check_length()
        else:
            self._check_offsets()

    def __len__(self) -> int:
        """Return the number of frames."""
        return self._count

    def __getitem__(self, index: Any) -> Any:
        """Decode a frame, counted from 0."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        with pydicom_errors(self._path), self._pixel_data() as stream:
            if self._syntax in _BY_IMAGECODECS:
                return self._decoded(get_frame(stream, index, **self._division()))
            return self._unpacked(stream, index)

    @contextmanager
    def _pixel_data(self) -> Iterator[BinaryIO]:
        """A stream at the beginning of the value of PixelData."""
        if self._element.value is None:  # deferred
            with BoundedFile(self._path) as stream:
                stream.seek(self._element.value_tell)
                yield stream
        else:
            yield io.BytesIO(self._element.value)

    def _division(self) -> dict[str, Any]:
        """What pydicom needs to divide encapsulated pixel data into frames."""
        division: dict[str, Any] = {"number_of_frames": self._count}
        if "ExtendedOffsetTable" in self._header:
            header = self._header
            division["extended_offsets"] = (header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths)
        return division

    def _check_length(self) -> None:
        frame = self._shape[0] * self._shape[1] * self._dtype.itemsize
        if self._element.value is None:
            length = min(self._element.length, self._path.stat().st_size - self._element.value_tell)
        else:
            length = len(self._element.value)
        if length < frame * self._count:
            raise SourceError(
                f"{self._path}: is a damaged DICOM file (PixelData has {length} bytes, but {self._count} frame(s) of "
                f"Rows × Columns need {frame * self._count}); export it again"
            )
        if length >= frame * (self._count + 1):
            raise self._other_frames()

    def _check_offsets(self) -> None:
        with self._pixel_data() as stream:
            offsets = parse_basic_offsets(stream)
        if offsets and len(offsets) != self._count:
            raise self._other_frames()

    def _other_frames(self) -> SourceError:
        return SourceError(
            f"{self._path}: PixelData does not hold the {self._count} frame(s) of Rows × Columns that NumberOfFrames "
            "says; export it again"
        )

    def _unpacked(self, stream: BinaryIO, index: int) -> np.ndarray:
        """Read a native or RLE frame. Other bits than those stored, where older files keep overlays, are cleared."""
        header = self._header
        shift = header.get("HighBit", self._bits - 1) + 1 - self._bits
        options: dict[str, Any] = dict(
            rows=self._shape[0],
            columns=self._shape[1],
            samples_per_pixel=1,
            photometric_interpretation=str(header.PhotometricInterpretation),
            pixel_representation=0,
            pixel_keyword="PixelData",
            pixel_vr="OB" if self._element.VR == "OB" else "OW",
            bits_allocated=int(header.BitsAllocated),
            # Left-justified samples: the decoder clears the bits above BitsStored, so it gets them all.
            bits_stored=int(header.BitsAllocated) if shift else self._bits,
            **self._division(),
        )
        plugin = "pydicom" if self._syntax == uid.RLELossless else ""
        samples, _ = get_decoder(self._syntax).as_array(
            stream, index=index, raw=True, decoding_plugin=plugin, **options
        )
        if samples.shape != self._shape:
            raise self._other_frames()
        if not shift:
            return samples.astype(self._dtype)
        if (samples & (2**shift - 1)).any():
            raise SourceError(
                f"{self._path}: HighBit says that the lowest {shift} bits of each sample are unused, but they are not "
                f"0: either HighBit is wrong, and should be BitsStored − 1 = {self._bits - 1}, or overlays are there; "
                "export it again"
            )
        return (samples >> shift & (2**self._bits - 1)).astype(self._dtype)

    def _decoded(self, frame: bytes) -> np.ndarray:
        """Decode a frame that is compressed otherwise, after its own header was compared with that of the object."""
        if self._syntax in _JPEG_2000:
            frame = _checked_codestream(self._path, frame)
        coded = frame_header(frame)
        if coded is None or coded.components != 1 or (coded.rows, coded.columns) != self._shape:
            raise SourceError(
                f"{self._path}: the compressed PixelData does not hold one greyscale frame of Rows × Columns; "
                "export it again"
            )
        samples = _BY_IMAGECODECS[self._syntax](frame)
        largest = 2**self._bits - 1
        if self._syntax in _OVERSHOOTING and samples.dtype.kind == "u":
            samples = np.where(samples <= largest * (1 + MAX_OVERSHOOT), np.minimum(samples, largest), samples)
        fits = samples.dtype.kind == "u" and int(samples.max()) <= largest
        if not fits or samples.shape != self._shape:
            raise SourceError(
                f"{self._path}: the compressed PixelData does not decode to unsigned {self._bits}-bit greyscale "
                "samples; export it again"
            )
        return samples.astype(self._dtype)


def decode_frame(frame: bytes, syntax: str, *, max_pixels: int) -> np.ndarray:
    """Decode a greyscale frame that stands for itself, as an icon.

    Raises
    ------
    SourceError
        It is damaged, has colours or more pixels than `max_pixels`, or its transfer syntax is not supported.
    """
    coded = frame_header(frame)
    if syntax not in _BY_IMAGECODECS or coded is None or coded.components != 1:
        raise SourceError("the frame is none that can be decoded")
    if not 0 < coded.rows * coded.columns <= max_pixels:
        raise SourceError("the frame is too large")
    try:
        return _BY_IMAGECODECS[syntax](frame)
    except MemoryError:
        raise
    except Exception as error:  # imagecodecs has a class for each codec
        raise SourceError(f"the frame is damaged ({type(error).__name__})") from None


def _checked_codestream(path: Path, frame: bytes) -> bytes:
    """Return the JPEG 2000 codestream of a frame, which is in a JP2 file in objects of some makers.

    Raises SourceError where it is damaged or ends early, which OpenJPEG may pass over. Of HTJ2K, and of other kinds
    that our decoder does not read, only the markers are checked: that every tile-part is there as long as it says.
    """
    codestream = codec.unwrap_jp2(frame) if frame[4:8] == _JP2_SIGNATURE else frame
    try:
        codec.check_codestream(codestream)
    except codec.UnsupportedCodestreamError:
        missing = missing_of_tile_parts(codestream)
        if missing:
            raise SourceError(f"{path}: the JPEG 2000 PixelData are not whole ({missing}); export it again") from None
    except codec.LimitError as error:
        raise SourceError(f"{path}: the JPEG 2000 PixelData need too much memory ({error})") from None
    except codec.CodestreamError as error:
        raise SourceError(f"{path}: the JPEG 2000 PixelData are not whole ({error}); export it again") from None
    return codestream
