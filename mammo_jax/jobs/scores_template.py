"""Write the table that a finished model fills in: a row for each compressed image at each ratio, all but the score.

    mammo-jax compress ARCHIVE --ratios 15 50 100 --out compressed
    mammo-jax scores-template --from compressed --labels labels.csv --out scores.csv
    mammo-jax evaluate --predictions scores.csv --frozen --out runs/mine

Each image has a row with ratio 1, for its uncompressed file, and one for each ratio. Column file says which file to
score: at ratio 1 as in the archive, else in the folder of results. Fill in column score; higher is more positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mammo_jax.compression.score_template import make_template, write_template
from mammo_jax.files import read_json
from mammo_jax.jobs.help import read_flags
from mammo_jax.jobs.run_job import run_job
from mammo_jax.sources.identifiers import load_key


@dataclass(frozen=True)
class TemplateConfig:
    """From what the table is made.

    Attributes
    ----------
    compressed : Path
        The folder that `mammo-jax compress --out` wrote.
    labels : Path or None
        CSV file with image_id, path or sop_instance_uid as in sizes.csv, and label: 0 and 1, or normal, benign and
        malignant. It may also have patient_id, for files that have none, and laterality or breast.
    target : {"malignant", "abnormal"}
        What label 1 stands for, where the labels are words.
    out : Path
        CSV file that is written.
    id_key : Path or None
        File with the key of the hashed ids, if compress had one.
    """

    compressed: Annotated[Path, tyro.conf.arg(name="from")]
    labels: Path | None = None
    target: Literal["malignant", "abnormal"] = "malignant"
    out: Path = Path("scores.csv")
    id_key: Path | None = None


def scores_template(config: TemplateConfig, _flags: Sequence[str]) -> None:
    """Write the table, and print what is still missing in it."""
    settings = config.compressed / "settings.json"
    hashed = settings.is_file() and read_json(settings).get("id_key") is not None
    template = make_template(
        config.compressed, config.labels, target=config.target, key=load_key(config.id_key) if hashed else None
    )
    write_template(config.out, template)
    print(f"{template.images} images at {template.ratios} ratios, 1 included: {config.out}")
    missing = {"label": template.without_label, "patient_id": template.without_patient}
    for column, count in missing.items():
        if count:
            print(f"{column}: empty for {count} images; fill it in, or give it with --labels")
    if template.unused_labels:
        print(f"{template.unused_labels} rows of {config.labels} are of no compressed image")


def _parse(flags: list[str]) -> TemplateConfig:
    return read_flags("scores-template", TemplateConfig, flags)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(scores_template, _parse, arguments, networks=False)
