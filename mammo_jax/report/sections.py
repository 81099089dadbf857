"""The report's sections besides the metrics, from the other files of a run folder; each file may be missing."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mammo_jax.errors import UserError
from mammo_jax.files import display_bytes
from mammo_jax.ratios import ratio_text
from mammo_jax.run_folder import RunFolder
from mammo_jax.run_subfolders import PictureFolder
from mammo_jax.sources.mammogram import LABELS

AUDIT_COLUMNS = (
    *(
        "codec",
        "image_id",
        "ratio",
        "target_bytes",
        "codestream_bytes",
        "padding_bytes",
        "ratio_allocated",
        "ratio_stored",
    ),
    *("bits_per_pixel", "bits_per_breast_pixel", "psnr", "psnr_breast", "ssim", "ssim_breast"),
)
MEDIANS = AUDIT_COLUMNS[6:]
QUALITY = AUDIT_COLUMNS[10:]
TEXT = ("image_id", "patient_id", "label", "problem")  # read as text: a patient may be called "NA" or "007"
MAX_EXAMPLES = 6
MAX_CROP_BYTES = 1 << 20
MAX_LEFT_OUT = 10
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class ReportError(UserError):
    """A run folder that no report can be made from; the message names the file and what to do."""


def read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame | None:
    """Read a CSV file of the run; None if it is missing or empty.

    Raises
    ------
    ReportError
        If it cannot be read, or lacks one of the columns.
    """
    if not path.exists():
        return None
    try:
        empty = {column: [""] for column in columns if column not in TEXT}
        table = pd.read_csv(path, dtype=dict.fromkeys(TEXT, str), keep_default_na=False, na_values=empty)
    except pd.errors.EmptyDataError:
        return None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ReportError(
            f"{path}: not a readable CSV file ({error}); write it again with mammo-jax prepare"
        ) from error
    missing = [column for column in columns if column not in table.columns]
    if missing and len(table):
        raise ReportError(f"{path}: column {missing[0]!r} is missing; write the file again with mammo-jax prepare")
    return table if len(table) else None


def audit_summary(run: RunFolder) -> list[dict[str, Any]] | None:
    """Summarise audit.csv: one row per ratio, with counts and medians over the images."""
    audit = read_table(run.audit, AUDIT_COLUMNS)
    if audit is None:
        return None
    rows = []
    for ratio, images in audit.groupby("ratio"):
        row: dict[str, Any] = {
            "ratio": ratio,
            "codec": images["codec"].iloc[0],
            "images": len(images),
            "exact": int((images["codestream_bytes"] == images["target_bytes"]).sum()),
            "mean_bytes": float(images["codestream_bytes"].mean()),
            "mean_uncompressed_bytes": float((images["codestream_bytes"] * images["ratio_allocated"]).mean()),
            "size": _size(images),
            # An image that is equal has a PSNR of infinity, between which and another one nothing can be interpolated.
            "spread": {name: images[name].quantile([0.05, 0.95], "nearest").tolist() for name in QUALITY},
            "padded": int((images["padding_bytes"] > 0).sum()),
            "padding_bytes": int(images["padding_bytes"].sum()),
        }
        rows.append(row | {column: float(images[column].median()) for column in MEDIANS})
    return rows


def _size(images: pd.DataFrame) -> str:
    """Say the size of the codestreams of one ratio: exactly where all are the same, else the mean."""
    texts = {exact_bytes(row) for row in images.to_dict("records")}
    return texts.pop() if len(texts) == 1 else f"{display_bytes(float(images['codestream_bytes'].mean()))} on average"


def exact_bytes(row: Mapping[Any, Any]) -> str:
    """Say a row's size, and where it comes from: "8 519 bytes, exactly ⌊4 259 840 ÷ 500⌋".

    Parameters
    ----------
    row : mapping
        Of audit.csv.
    """
    size, target = int(row["codestream_bytes"]), int(row["target_bytes"])
    uncompressed = round(row["codestream_bytes"] * row["ratio_allocated"])
    quotient = f"⌊{display_integer(uncompressed)} ÷ {ratio_text(row['ratio'])}⌋"
    if size == target:
        return f"{display_integer(size)} bytes, exactly {quotient}"
    return f"{display_integer(size)} bytes, not {quotient} = {display_integer(target)}"


def display_integer(value: int) -> str:
    """Format a number with narrow no-break spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def left_out(run: RunFolder) -> dict[str, Any] | None:
    """Count the images that could not be used, with the first problems; full reasons name files and are not shown."""
    table = read_table(run.left_out, ())
    if table is None:
        return None
    first = table.head(MAX_LEFT_OUT if {"image_id", "problem"} <= set(table) else 0)
    return {"count": len(table), "first": first.to_dict("records")}


def lossy_notice(run: RunFolder) -> str | None:
    """Return a sentence on the images that were lossily compressed before the study; None if there are none."""
    images = read_table(run.images, ("patient_id", "label"))
    if images is None or "already_lossy" not in images:
        return None
    lossy = int((images["already_lossy"].astype(str) == "True").sum())
    if not lossy:
        return None
    return f"{lossy} of {len(images)} images had been lossily compressed before; for them CR 1 is not uncompressed."


def classes_by_fold(run: RunFolder) -> list[dict[str, Any]] | None:
    """Count the mammograms of each class in each fold, from folds.csv and images.csv."""
    folds = read_table(run.folds, ("patient_id", "fold"))
    images = read_table(run.images, ("patient_id", "label"))
    if folds is None or images is None:
        return None
    joined = images.merge(folds[["patient_id", "fold"]], on="patient_id", how="left", validate="many_to_one")
    if joined["fold"].isna().any():
        raise ReportError(f"{run.folds}: lacks patients of images.csv; write both again with mammo-jax prepare")
    counts = pd.crosstab(joined["fold"], joined["label"]).reset_index()
    return [
        {"fold": int(row["fold"])} | {label: int(row.get(label, 0)) for label in LABELS}
        for row in counts.to_dict("records")
    ]


def example_rows(folder: PictureFolder) -> tuple[list[dict[str, Any]], list[str]]:
    """Collect the example crops, one row per image with ascending ratios, and the names of files left out.

    At most 6 images; files with other names than `PictureFolder` gives, above 1 MiB or of other formats are left out.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    refused = []
    for path in folder.pictures():
        image_id, ratio = folder.image_and_ratio(path) or ("", 0.0)
        content = path.read_bytes() if path.stat().st_size <= MAX_CROP_BYTES else b""
        full = image_id not in rows and len(rows) == MAX_EXAMPLES
        if full or not image_id or not content.startswith(PNG_SIGNATURE):
            refused.append(path.name)
            continue
        crop = {"ratio": ratio, "png": content, "uri": data_uri(content, "image/png")}
        rows.setdefault(image_id, []).append(crop)
    examples: list[dict[str, Any]] = []
    for image_id, crops in rows.items():
        examples.append({"image_id": image_id, "crops": sorted(crops, key=lambda crop: crop["ratio"])})
    return examples, refused


def data_uri(content: bytes, media_type: str) -> str:
    """Return a file's content as a data URI, which makes the report self-contained."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
