"""A run folder in Python: verdict, tables and report of a study or an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from mammo_jax.errors import UserError
from mammo_jax.ratios import ratio_text
from mammo_jax.report.build import load_metrics
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.predictions import read_predictions


class RunError(UserError):
    """A run folder without the file that is asked for; the message says what makes it."""


@dataclass(frozen=True)
class Verdict:
    """How much compression a model tolerates; as text, the sentence of the report.

    Attributes
    ----------
    outcome : str
        "ratio", "no ratio passed", "cannot tell", or "not given".
    ratio : float or None
        The largest ratio that passed, where the outcome is "ratio".
    first_failed : float or None
        The ratio at which this ended.
    reason : str or None
        Why there is no ratio.
    sentence : str
    """

    outcome: str
    ratio: float | None
    first_failed: float | None
    reason: str | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence


class Run:
    """The results in a run folder, of ``mammo-jax study`` or ``mammo-jax evaluate``.

    Everything is read from its file when it is asked for. In a notebook a run shows its verdict, and the AUROC at every
    ratio.

    Parameters
    ----------
    folder : path
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        self._run = RunFolder(self.folder)

    def __repr__(self) -> str:
        """Return the folder and the outcome on one line."""
        return f"Run({str(self.folder)!r})" + (f": {self.verdict}" if self._run.metrics.exists() else "")

    @property
    def json(self) -> dict[str, Any]:
        """All of metrics.json."""
        return load_metrics(self._run)

    @property
    def verdict(self) -> Verdict:
        """The primary model's verdict."""
        metrics = self.json
        found = metrics["verdict"]
        return Verdict(
            **{name: found[name] for name in ("outcome", "ratio", "first_failed", "reason")},
            sentence=("Demonstration (one training seed). " if metrics["demonstration"] else "") + metrics["sentence"],
        )

    @property
    def metrics(self) -> pd.DataFrame:
        """AUROC and AUPRC with 95 % intervals: a row for each model, training ratio and test ratio.

        auroc_change is the difference from CR 1 on the same patients, with its one-sided lower bound; passed is about
        AUROC alone. They are there where a model trained on uncompressed images is tested on compressed ones.
        """
        return pd.DataFrame([row for model in self.json["models"] for row in _rows(model)])

    @property
    def report(self) -> Path:
        """Path of report.html."""
        return self._existing(self._run.report, "mammo-jax report")

    @property
    def predictions(self) -> pd.DataFrame:
        """A score for each model and image of a study."""
        return read_predictions(self._existing(self._run.predictions, "mammo-jax study"))

    @property
    def audit(self) -> pd.DataFrame:
        """Bytes, ratios, PSNR and SSIM of every codestream of a study."""
        return self._table(self._run.audit)

    @property
    def images(self) -> pd.DataFrame:
        """The images of a study."""
        return self._table(self._run.images)

    @property
    def left_out(self) -> pd.DataFrame:
        """The images that a study could not use, with the reason."""
        return self._table(self._run.left_out)

    def _table(self, path: Path) -> pd.DataFrame:
        names = {"patient_id": str, "image_id": str}
        return pd.read_csv(self._existing(path, "mammo-jax study"), dtype=names)

    def _existing(self, path: Path, job: str) -> Path:
        if not path.exists():
            raise RunError(f"{path}: no such file; {job} writes it")
        return path

    def _repr_html_(self) -> str:
        """Show the verdict and the primary model's results in a notebook."""
        table = self.metrics
        table = table[(table["model"] == self.json["primary_model"]) & table["transfer"]]
        cells = "".join(
            f"<tr><td>{ratio_text(row.test_ratio)}</td><td>{row.auroc:.3f}</td>"
            f"<td>{row.auroc_low:.3f} to {row.auroc_high:.3f}</td></tr>"
            for row in table.itertuples()
        )
        return (
            f"<p><strong>{escape(str(self.verdict))}</strong></p>"
            "<table><thead><tr><th>CR</th><th>AUROC</th><th>95 % interval</th></tr></thead>"
            f"<tbody>{cells}</tbody></table>"
            f"<p>Report: <code>{escape(str(self._run.report))}</code></p>"
        )


def _rows(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of one model in `Run.metrics`."""
    steps = {step["ratio"]: step for step in model["verdicts"]["transfer"]["steps"]}
    rows = []
    for result in model["results"]:
        step = steps.get(result["test_ratio"], {}) if result["transfer"] else {}
        row = {name: result[name] for name in ("train_ratio", "test_ratio", "matched", "transfer")}
        for measure in ("auroc", "auprc"):
            values = result[measure]
            row |= {measure: values["mean"], f"{measure}_low": values["low"], f"{measure}_high": values["high"]}
        changes = {
            "auroc_change": step.get("difference"),
            "auroc_change_lower_bound": step.get("lower_bound"),
            "passed": step.get("passed"),
        }
        rows.append({"model": model["name"], **row, **changes})
    return rows
