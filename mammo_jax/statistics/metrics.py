"""What metrics.json holds, for those who read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def primary_model(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics of the model that the verdict is about."""
    found: dict[str, Any] = next(model for model in metrics["models"] if model["name"] == metrics["primary_model"])
    return found
