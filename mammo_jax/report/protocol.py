"""Whether what a verdict rests on was fixed before any score existed: what the run's files prove and what not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.protocol import (
    NAMES,
    Protocol,
    Source,
    Status,
    as_text,
    checked,
    differences,
    differences_text,
    read_protocol,
    used_protocol,
)


def protocol_status(run: RunFolder, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Compare an evaluation with its protocol.

    Parameters
    ----------
    run : RunFolder
    metrics : mapping
        Their field protocol has the document and the hash of the images that were evaluated; None, or no such field,
        where there was no protocol.

    Returns
    -------
    dict
        status: "fixed beforehand" only where the run itself wrote the protocol before it trained anything, and the
        evaluation keeps to it in every field; "declared" where it was handed in with the scores; else "exploratory".
        sha256, or None; differences, see `mammo_jax.statistics.protocol.differences`; fields: name and value, as text.

    Raises
    ------
    ProtocolError
        If a protocol was changed after it was written.
    """
    status: Status = "exploratory"
    given = metrics.get("protocol")
    if given is None:
        return {"status": status, "sha256": None, "differences": [], "fields": []}
    fixed = checked(given["document"], f"{run.metrics}: protocol")
    source: Source = "images of a study" if given["by_run"] else "test set"
    found = differences(fixed, used_protocol(metrics, source, given["source_sha256"]))
    if not given["by_run"]:
        status = "declared"
    elif not found and was_first(run, fixed):
        status = "fixed beforehand"
    values = fixed.fields()
    fields = [(NAMES[name], as_text(values[name])) for name in NAMES]
    return {"status": status, "sha256": fixed.sha256, "differences": found, "fields": fields}


def was_first(run: RunFolder, fixed: Protocol) -> bool:
    """Whether the run's protocol is this one, and its log has it before the first model."""
    if not (run.protocol.exists() and run.log.exists()) or read_protocol(run.protocol).sha256 != fixed.sha256:
        return False
    for line in run.log.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # a killed run can leave half a line; the report counts them
        if entry.get("event") in ("protocol", "model"):
            return entry["event"] == "protocol" and entry.get("sha256") == fixed.sha256
    return False


def protocol_text(status: Mapping[str, Any]) -> str:
    """Return what `protocol_status` found as a sentence or two, for a terminal and the report."""
    name, found = status["status"], status["differences"]
    if status["sha256"] is None:
        return "Exploratory: there is no protocol from before the scores existed (mammo-jax protocol writes one)."
    by = f"SHA-256 {status['sha256']}"
    if name == "fixed beforehand":
        return f"Fixed beforehand: this run wrote its protocol before it trained, and keeps to it ({by})."
    if name == "declared":
        kept = "the evaluation keeps to it" if not found else f"the evaluation differs: {differences_text(found)}"
        return f"Declared: a protocol came with the scores; when it was written cannot be proven ({by}); {kept}."
    changed = differences_text(found) or "its log does not have the protocol before the first model"
    return f"Exploratory: this is not what the run fixed beforehand ({by}): {changed}."
