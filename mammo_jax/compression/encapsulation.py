"""The codestreams of an object's frames as the value of PixelData has them (PS3.5 A.4), on disk where they are many."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

from pydicom import Dataset

OFFSET_TABLE = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
MAX_BASIC_OFFSET = 2**32 - 1
_ITEM = (0xFFFE, 0xE000)
_ITEM_BYTES = 8  # tag and length


class EncapsulatedFrames:
    """Codestreams, one for each frame and a fragment each; use it as a context manager.

    The room of the offset table is left free before them, because their lengths are known only at the end.

    Parameters
    ----------
    count : int
        Frames that will be added.
    folder : Path or None
        Where a temporary file without a name holds them; None holds them in memory.

    Attributes
    ----------
    sizes : list of int
        Bytes of each codestream. A byte that pads a fragment to an even length lies outside.
    """

    def __init__(self, count: int, folder: Path | None = None):
        self._count = count
        self._file = io.BytesIO() if folder is None else _nameless_file(folder)
        self._file.seek(self._start)
        self._digest = hashlib.sha256()
        self.sizes: list[int] = []

    @property
    def _start(self) -> int:
        return _ITEM_BYTES + 4 * self._count

    @property
    def sha256(self) -> str:
        """Hash of the codestreams one after the other, in hexadecimal."""
        return self._digest.hexdigest()

    def add(self, codestream: bytes) -> None:
        """Append the codestream of the next frame."""
        self.sizes.append(len(codestream))
        self._digest.update(codestream)
        self._file.write(struct.pack("<HHI", *_ITEM, len(codestream) + len(codestream) % 2))
        self._file.write(codestream)
        self._file.write(b"\0" * (len(codestream) % 2))

    def __getitem__(self, index: int) -> bytes:
        """Return the codestream of a frame."""
        self._file.seek(self._start + self._offsets()[index] + _ITEM_BYTES)
        return self._file.read(self.sizes[index])

    def put_into(self, instance: Dataset) -> None:
        """Set PixelData, which is read when the object is written, and the kind of offset table that it had or needs.

        The extended one is made anew where there was one, or where offsets exceed 32 bits; the basic one is empty then.
        """
        fragments, offsets = self._fragments(), self._offsets()
        had_extended = OFFSET_TABLE[0] in instance
        for keyword in OFFSET_TABLE:
            instance.pop(keyword, None)
        table = b""
        if had_extended or offsets[-1] > MAX_BASIC_OFFSET:
            for keyword, values in zip(OFFSET_TABLE, (offsets, fragments)):
                setattr(instance, keyword, struct.pack(f"<{self._count}Q", *values))
        else:
            table = struct.pack(f"<{self._count}I", *offsets)
        first = self._start - _ITEM_BYTES - len(table)
        self._file.seek(first)
        self._file.write(struct.pack("<HHI", *_ITEM, len(table)) + table)
        self._file.seek(first)
        instance.PixelData = self._file
        instance["PixelData"].VR = "OB"
        instance["PixelData"].is_undefined_length = True

    def _fragments(self) -> list[int]:
        return [size + size % 2 for size in self.sizes]

    def _offsets(self) -> list[int]:
        """Of each item from the first one."""
        offsets = [0]
        for length in self._fragments()[:-1]:
            offsets.append(offsets[-1] + _ITEM_BYTES + length)
        return offsets

    def __enter__(self) -> EncapsulatedFrames:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()


def _nameless_file(folder: Path) -> IO[bytes]:
    """Open a file without a name; where the system has none, its name is one that `remove_stale_temporaries` knows."""
    return tempfile.TemporaryFile(dir=folder, prefix=".frames.", suffix=f".{os.getpid()}.tmp")
