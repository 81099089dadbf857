"""The report's section on provenance: command, settings, versions and hashes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammo_jax.files import read_json, sha256_file
from mammo_jax.ratios import ratio_text
from mammo_jax.run_folder import RunFolder


def provenance(run: RunFolder, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the command, settings, versions and hashes from config.json, log.jsonl and the metrics.

    Folders may be named after people: only the last part of a path is shown, unless the run uses plain ids.
    """
    path = run.config
    config = read_json(path) if path.exists() else {}
    settings = config.get("config")
    show = str if (settings or {}).get("folder", {}).get("plain_ids") else without_folders
    command = config.get("command") or metrics.get("command")
    starts, prepared, weights, damaged = _events(run.log)
    table = run.predictions
    facts = [
        ("SHA-256 of the configuration", config.get("sha256")),
        ("SHA-256 of the images", prepared.get("data_sha256")),
        ("SHA-256 of the predictions", metrics.get("predictions_sha256") or (table.exists() and sha256_file(table))),
        *(("SHA-256 of the pretrained weights", sha256) for sha256 in weights),
        *_origins(starts),
        ("Damaged lines of log.jsonl", damaged),
    ]
    return {
        "command": command and shlex.join(show(argument) for argument in shlex.split(command)),
        "settings": settings and {name: show(value) for name, value in flatten(settings).items()},
        "facts": [(name, value) for name, value in facts if value],
    }


def without_folders(text: str) -> str:
    """Replace the folders of a path: "/data/images.csv" becomes "DIR/images.csv", also in "--flag=/data/images.csv"."""
    flag, equals, path = text.partition("=") if text.startswith("--") else ("", "", text)
    return f"{flag}{equals}DIR/{Path(path).name}" if "/" in path else text


def _origins(starts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """List the git revisions of each job, and the versions and machines, in the order of the starts."""
    lines = [(f"Git revision of mammo-jax {start.get('job', '')}", _revision(start)) for start in starts]
    for name, describe in (("Python", _python), ("Packages", _packages), ("Machine", _machine)):
        lines += [(name, describe(start)) for start in starts]
    return list(dict.fromkeys(lines))


def _revision(start: Mapping[str, Any]) -> str:
    return str(start.get("git_revision", ""))


def _python(start: Mapping[str, Any]) -> str:
    return str(start.get("python", ""))


def _packages(start: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in start.get("packages", {}).items())


def _machine(start: Mapping[str, Any]) -> str:
    return " ".join(str(start[key]) for key in ("system", "machine") if key in start)


def _events(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any], list[str], int]:
    """Read from log.jsonl the starts, the last line on the dataset, hashes of pretrained weights, and damaged lines.

    Damaged lines, which a killed run can leave, are counted.
    """
    starts: list[dict[str, Any]] = []
    prepared: dict[str, Any] = {}
    weights: dict[str, None] = {}
    damaged = 0
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            damaged += 1
            continue
        if entry.get("event") == "start":
            starts.append(entry)
        elif entry.get("event") == "prepared":
            prepared = entry
        elif entry.get("event") == "model" and entry.get("pretrained_sha256"):
            weights[entry["pretrained_sha256"]] = None
    return starts, prepared, list(weights), damaged


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested settings to "group.name" → text."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            flat[prefix + name] = ", ".join(_setting(item) for item in value)
        else:
            flat[prefix + name] = _setting(value)
    return flat


def _setting(value: Any) -> str:
    if isinstance(value, float):
        return ratio_text(value)
    return "not set" if value is None else str(value)
