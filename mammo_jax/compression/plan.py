"""How a batch of files is compressed, where its results go, and the names that its tables have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from codec.ratio import exact_ratio
from mammo_jax.compression.ladder import CompressionError
from mammo_jax.compression.syntaxes import LOSSLESS, SYNTAXES, SyntaxName
from mammo_jax.ratios import split_name
from mammo_jax.sources.identifiers import keyed_hash

MAX_BITS = 16
Per = Literal["frame", "object"]


@dataclass(frozen=True)
class CompressionPlan:
    """How files are compressed, and where the results go.

    Attributes
    ----------
    out : Path
        Folder of the results. Several ratios have a folder each in it, unless they are layers.
    ratios : tuple of float
    layers : bool
        Write one codestream with a quality layer for each ratio.
    syntax : SyntaxName
        JPEG 2000 has exactly the ratios, HTJ2K and JPEG XL the nearest that are not lower. "j2k-lossless" is one
        codestream, whose first layers are the ratios.
    reference : {"allocated", "stored"}
        Which bits of a pixel the uncompressed size counts.
    per : {"frame", "object"}
        What has exactly the ratio: each frame of an object, or all of them together, with one slope in all frames.
    bits_stored : int or None
        Of 16-bit PNG and TIFF files, which do not say; None infers them from the largest pixel of each.
    jp2 : bool
        Write JP2 files instead of bare codestreams. In DICOM a codestream is always bare.
    drop_private : bool
        Remove private elements from DICOM objects.
    new_series : bool
        Give derived DICOM objects a series of their own for each ratio.
    key : bytes or None
        Key of the hashed ids; None keeps file names and patient ids as they are.
    hashed_names : bool
        Whether the tables have hashes, made with the key, in place of paths and SOP Instance UIDs.
    deidentified : bool
        Take the identity out of DICOM objects: `mammo_jax.compression.deidentify`. With hashed names, the results have
        them too.
    """

    out: Path
    ratios: tuple[float, ...] = ()
    layers: bool = False
    syntax: SyntaxName = "j2k"
    reference: str = "allocated"
    per: Per = "frame"
    bits_stored: int | None = None
    jp2: bool = False
    drop_private: bool = False
    new_series: bool = False
    key: bytes | None = None
    hashed_names: bool = False
    deidentified: bool = False

    def __post_init__(self) -> None:
        """Raise `CompressionError` or `codec.InvalidRatioError` for invalid or contradictory settings."""
        for ratio in self.ratios:
            exact_ratio(ratio)
        if len(set(self.ratios)) < len(self.ratios):
            raise CompressionError("ratios: write each once")
        if not self.ratios and (self.layers or not self.lossless):
            raise CompressionError(f"ratios: write at least one, or ask for --syntax {LOSSLESS} alone")
        if self.ratios and self.lossless and not self.layers:
            raise CompressionError(f"syntax: {LOSSLESS} files with ratios in them too need --layers")
        if not SYNTAXES[self.syntax].exact and (self.layers or self.jp2):
            raise CompressionError(f"syntax: --layers and --jp2 are of JPEG 2000, and {self.syntax} has neither")
        if self.per == "object" and (self.layers or not SYNTAXES[self.syntax].exact or self.lossless):
            raise CompressionError("per: one ratio of all frames together is of --syntax j2k without --layers")
        if self.new_series and self.lossless:
            raise CompressionError(
                "new_series: lossless files are the same objects as before, and stay in their series"
            )
        if self.bits_stored is not None and not 1 <= self.bits_stored <= MAX_BITS:
            raise CompressionError(f"bits_stored={self.bits_stored}: must be from 1 to {MAX_BITS}")
        if self.hashed_names and self.key is None:
            raise CompressionError(
                "hashed_names: names are hashed with the key of the ids, which --plain-ids leaves out"
            )
        if self.deidentified and self.key is None:
            raise CompressionError("deidentify: ids are hashed with the key of the ids, which --plain-ids leaves out")

    def name(self, text: str, kind: str = "image") -> str:
        """A path relative to its input, or a UID (kind "uid"), as the tables have it."""
        return identifier(text, self.key if self.hashed_names else None, kind)

    def hide(self, message: str, path: Path, name: str) -> str:
        """A message about a file with its name in the tables in place of its path, which may identify the patient."""
        return shown(message.removeprefix(f"{path}: ").replace(str(path), name))

    @property
    def lossless(self) -> bool:
        """Whether results give every pixel back."""
        return self.syntax == LOSSLESS

    @property
    def extension(self) -> str:
        """Of results that are no DICOM."""
        return ".jp2" if self.jp2 else SYNTAXES[self.syntax].extension

    def series_settings(self, ratio: float) -> str | None:
        """What makes the new series of results with a ratio; None where they stay in their series."""
        if not self.new_series:
            return None
        of = "" if self.reference == "allocated" else f" of bits {self.reference}"
        layers = f" in {len(self.ratios)} layers" if self.layers else ""
        together = " per object" if self.per == "object" else ""
        return f"{SYNTAXES[self.syntax].title} CR {ratio:g}{of}{layers}{together}"

    @property
    def rows_per_file(self) -> int:
        """Rows of each file in the table of sizes."""
        return len(self.ratios) + self.lossless

    @property
    def folders(self) -> dict[float | None, Path]:
        """Folder of the results by ratio, or by None where one codestream holds all ratios."""
        if self.layers or self.lossless:
            return {None: self.out}
        return {ratio: self.out / split_name(ratio) if len(self.ratios) > 1 else self.out for ratio in self.ratios}


def identifier(text: str, key: bytes | None, kind: str) -> str:
    """Hash of a name, or the name itself if there is no key."""
    return shown(text) if key is None else keyed_hash(shown(text), key, kind)


def shown(text: str) -> str:
    r"""Text in one line of valid UTF-8: file names and damaged headers may hold anything; as in "a\nb", "\udcff"."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
