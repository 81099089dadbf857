"""A run's facts in sentences, from everything in its folder: for the checklists and the paragraph on methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammo_jax.files import read_json
from mammo_jax.report import published
from mammo_jax.report.protocol import protocol_status, protocol_text
from mammo_jax.report.provenance import provenance
from mammo_jax.report.result_facts import counted, file_facts, result_facts
from mammo_jax.report.study_facts import study_facts
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.metrics import primary_model

METHODS = {
    "design": "",
    "data_source": "Data: ",
    "images_used": "",
    "reference": "Reference standard: ",
    "target": "",
    "subsets": "Examples: ",
    "preprocessing": "Preprocessing: ",
    "compression": "",
    "partition": "Cross-validation: ",
    "network": "Model: ",
    "initial": "",
    "training": "",
    "selection": "Selection: ",
    "measures": "Measures: ",
    "uncertainty": "Uncertainty: ",
    "verdict_rule": "Verdict: ",
    "threshold": "",
    "software": "Software: ",
}
"""Facts of the paragraph on methods, in its order, with what leads to each."""
VERSIONS = ("Git", "Python", "Packages", "Machine")
"""How the lines of the provenance on software begin."""


def run_facts(run: RunFolder, metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return sentences by name; a fact that the run folder does not have is missing.

    Parameters
    ----------
    run : RunFolder
        config.json, log.jsonl, images.csv, left_out.csv and saliency/ are used if they exist.
    metrics : mapping
        As metrics.json has them.
    """
    settings = read_json(run.config)["config"] if run.config.exists() else None
    facts = result_facts(metrics) | file_facts(run) | (study_facts(settings) if settings else {})
    origin = provenance(run, metrics)
    found = dict(origin["facts"])
    protocol = protocol_status(run, metrics)
    if protocol["sha256"] is not None:
        facts["protocol"] = protocol_text(protocol)
    facts |= _origin(origin, found) | {"retention": published.RETENTION}
    facts["limitations"] = _limitations(metrics, settings)
    maps = "Saliency maps, compared with marked lesions and checked by randomisation: see the report."
    facts["explain"] = maps if run.saliency.summary.exists() else "None: this run has no saliency maps."
    if "data_access" in facts and "availability" in facts:
        facts["availability"] += f" {facts['data_access']}"
    return facts


def methods_paragraph(facts: Mapping[str, str]) -> str:
    """Join the facts that a paper's section on methods needs."""
    return " ".join(lead + facts[name] for name, lead in METHODS.items() if name in facts)


def _origin(origin: Mapping[str, Any], found: Mapping[str, str]) -> dict[str, str]:
    """Return sentences on software, hashes and the command."""
    facts = {}
    versions = [f"{name} {value}" for name, value in origin["facts"] if name.startswith(VERSIONS)]
    if versions:
        facts["software"] = f"mammo_jax (Apache-2.0): {'; '.join(versions)}."
    if origin["command"]:
        facts["command"] = f"Command: {origin['command']}"
    scores = found.get("SHA-256 of the predictions")
    if scores:
        facts["outputs"] = f"Every score is kept (SHA-256 of the table {scores}), and every figure in metrics.json."
        images = found.get("SHA-256 of the images")
        facts["availability"] = f"Software: mammo_jax, Apache-2.0. Scores: SHA-256 {scores}." + (
            f" Images: SHA-256 {images}." if images else ""
        )
    return facts


def _limitations(metrics: Mapping[str, Any], settings: Mapping[str, Any] | None) -> str:
    """Return what every run of this kind cannot say, and what this one cannot."""
    model = primary_model(metrics)
    seeds = f"{counted(model['seeds'], 'training seed')}, and one set of folds"
    limits = [
        "no reader took part, so nothing is known of what radiologists see",
        f"{model['counts']['positive_patients']} positive patients",
        "one finished model" if metrics["frozen"] else seeds,
    ]
    if settings:
        real = {"phantom": "drawn images, which are no mammograms", "hybrid": "drawn lesions in film mammograms"}
        real["mias"] = "a small database of digitised film of 8 bits"
        units = settings["units"]
        limits.append(f"one input size, {units['input_rows']} × {units['input_columns']} pixels")
        limits += [real[settings["source"]]] if settings["source"] in real else []
        if units["unit"] == "patch":
            limits.append("patches at known places, which no reader is given")
    return f"This study has limits: {'; '.join(limits)}."
