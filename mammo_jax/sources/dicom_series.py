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
    return [
        list(range(facts.frames))
        if frames == "all" and facts.frames > 1
        else ["central" if frames == "all" else frames]
        for facts in _facts_of_one_intent(paths)
    ]


def check_intents(paths: Iterable[Path]) -> None:
    """Raise SourceError where some files are for presentation and others for processing, by headers alone."""
    _facts_of_one_intent(paths)


def _facts_of_one_intent(paths: Iterable[Path]) -> list[SeriesFacts]:
    first: dict[str, Path] = {}
    all_facts = []
    for path in paths:
        facts = _facts(path)
        if facts.intent is not None:
            first.setdefault(facts.intent, path)
        all_facts.append(facts)
    if len(first) > 1:
        (one, path), (other, other_path) = first.items()
        raise SourceError(
            f"{path} is {one}, and {other_path} is {other} (PresentationIntentType): their grey levels cannot be "
            "compared; keep the files of one kind"
        )
    return all_facts


def _facts(path: Path) -> SeriesFacts:
    """Facts of a file; none of one that is missing or damaged, which is an error only when its image is read."""
    try:
        return read_series_facts(path) if is_dicom(path) else SeriesFacts(None, 1)
    except SourceError:
        return SeriesFacts(None, 1)
