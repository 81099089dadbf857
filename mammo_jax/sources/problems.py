"""Why images cannot be used, in words that everybody may see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

MAX_REASONS = 3


def problem_text(error: Exception, row: Mapping[str, Any]) -> str:
    """Say what is wrong with an image without the paths of its files, which may name people.

    Parameters
    ----------
    error : Exception
        What reading the image raised.
    row : mapping
        The image's row of `Source.table`.
    """
    problem = str(error)
    for file in sorted(row["files"], key=len, reverse=True):  # the longest first, since one may be part of another
        problem = problem.replace(file, "its file")
    return problem.removeprefix("its file: ").removeprefix(f"{row['image_id']}: ")


def commonest(problems: Iterable[str]) -> str:
    """Say the commonest problems with the number of images: "3 × …; 2 × …; 4 for other reasons"; empty if none."""
    counts = Counter(problems).most_common()
    others = sum(count for _, count in counts[MAX_REASONS:])
    texts = [f"{count} × {problem}" for problem, count in counts[:MAX_REASONS]]
    return "; ".join(texts + ([f"{others} for other reasons"] if others else []))
