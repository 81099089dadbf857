"""Which images DICOM files give a study: their frames, and that all of them are meant for the same."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from mammo_jax.sources.dicom import FrameChoice, SeriesFacts, is_dicom, read_series_facts
from mammo_jax.sources.mammogram import SourceError

FramesOption = Literal["central", "mip", "all"]


def frame_choices(paths: Iterable[Path], frames: FramesOption) -> list[list[FrameChoice]]:
    """Choose the images of each file, by headers alone.

    Parameters
    ----------
    paths : iterable of Path
        Of image files of any kind.
    frames : {"central", "mip", "all"}
        Of an object with several frames: the central one, the projection of the largest values, or each.

    Returns
    -------
    list of list
        What `read_dicom` is told, one image each; of other files ["central"], their only image.

    Raises
    ------
    SourceError
        Some files are for presentation and others for processing: their grey levels have different meanings.
    """
    first: dict[str, Path] = {}
    choices: list[list[FrameChoice]] = []
    for path in paths:
        facts = _facts(path)
        if facts.intent is not None:
            first.setdefault(facts.intent, path)
        several = frames == "all" and facts.frames > 1
        choices.append(list(range(facts.frames)) if several else ["central" if frames == "all" else frames])
    if len(first) > 1:
        (one, path), (other, other_path) = first.items()
        raise SourceError(
            f"{path} is {one}, and {other_path} is {other} (PresentationIntentType): their grey levels cannot be "
            "compared; keep the rows of one kind"
        )
    return choices


def _facts(path: Path) -> SeriesFacts:
    """Facts of a file; none of one that is missing or damaged, which is an error only when its image is read."""
    try:
        return read_series_facts(path) if is_dicom(path) else SeriesFacts(None, 1)
    except SourceError:
        return SeriesFacts(None, 1)
