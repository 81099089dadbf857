"""A synthetic run folder with every file that the report reads."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from prediction_tables import predictions_table

from mammo_jax.jobs.config import StudyConfig
from mammo_jax.jobs.study_run import as_json
from mammo_jax.ratios import LADDER, ratio_text
from mammo_jax.statistics.evaluation import evaluate

LOSSES = dict(zip((1.0, *LADDER), (0.0, 0.02, 0.02, 0.03, 0.05, 0.1, 0.3, 0.6, 2.0, 5.0, 6.0)))
HOSTILE = "<script>alert(1)</script>"
COMMAND = "mammo-jax study --source-dir '/data/Jane Doe/images.csv' --out=runs/synthetic"


def png(size: int = 64, grey: int = 90) -> bytes:
    rng = np.random.default_rng(grey)
    stream = io.BytesIO()
    Image.fromarray(np.clip(rng.normal(grey, 25, (size, size)), 0, 255).astype(np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def metrics(seeds: int = 1, resamples: int = 200, **names: str) -> dict:
    cells = {("1", ratio): loss for ratio, loss in LOSSES.items()}
    cells |= {(ratio_text(ratio), ratio): 0.8 * loss for ratio, loss in LOSSES.items()}
    table = predictions_table(cells, patients=360, seeds=seeds, seed_noise=0.1, **names)
    return evaluate(table, resamples=resamples, target="malignant")


def audit() -> pd.DataFrame:
    rows = []
    for image in range(5):
        for ratio in LADDER:
            target = int(1024 * 1280 * 2 / ratio)
            size = target - (image == 0 and ratio == 15)
            row = {
                "codec": "a codec",
                "image_id": f"phantom {image}",
                "ratio": ratio,
                "target_bytes": target,
                "codestream_bytes": size,
            }
            row |= {"padding_bytes": 100 if ratio == 15 and image == 1 else 0, "header_bytes": 84}
            row |= {"ratio_allocated": 1024 * 1280 * 2 / size, "ratio_stored": 1024 * 1280 * 1.5 / size}
            row |= {"bits_per_pixel": 8 * size / 1024 / 1280, "bits_per_breast_pixel": 20 * size / 1024 / 1280}
            row |= {"psnr_breast": 55 - 4 * np.log(ratio), "ssim_breast": 0.9}
            rows.append(row | {"psnr": 60 - 4 * np.log(ratio) + image / 10, "ssim": 1 - 0.02 * np.log(ratio)})
    return pd.DataFrame(rows)


def write_run(run: Path, seeds: int = 1, resamples: int = 200) -> Path:
    run.mkdir(parents=True, exist_ok=True)
    (run / "metrics.json").write_text(json.dumps(metrics(seeds, resamples)))
    audit().to_csv(run / "audit.csv", index=False)
    patients = [f"{index:03d}" for index in range(20)]
    labels = ["normal", "benign", "malignant", "normal"]
    folds = pd.DataFrame({"patient_id": patients, "fold": np.arange(20) % 5, "units": 2, "positives": 1})
    folds.to_csv(run / "folds.csv", index=False)
    images = pd.DataFrame({"image_id": range(40), "patient_id": patients * 2, "label": labels * 10})
    images.to_csv(run / "images.csv", index=False)
    left_out = {"index": range(12), "image_id": [f"NA{n}" for n in range(12)], "problem": f"is bad: {HOSTILE}"}
    pd.DataFrame(left_out | {"reason": "SourceError: /data/Jane Doe/1.png: is bad"}).to_csv(
        run / "left_out.csv", index=False
    )
    (run / "examples").mkdir()
    for name in ("phantom_000_malignant", "phantom_001_benign"):
        for ratio in (1.0, *LADDER):
            (run / "examples" / f"{name}_{ratio_text(ratio)}.png").write_bytes(png(256, 60 + len(ratio_text(ratio))))
    settings = as_json(StudyConfig(source="folder")) | {
        "out": "runs/synthetic",
        "source_dir": "/data/Jane Doe/images.csv",
        "ratios": list(LADDER),
    }
    settings["training"] |= {"rate": 1e-3, "seed": None}
    config = {"config": settings, "sha256": "c0ffee" * 8, "command": COMMAND}
    (run / "config.json").write_text(json.dumps(config))
    start = {
        "event": "start",
        "job": "study",
        "git_revision": "0123abcd",
        "python": "3.11.2",
        "packages": {"jax": "0.10.2", "numpy": "2.4"},
    }
    older = start | {"git_revision": "older", "job": "prepare"}
    trained = [{"event": "model", "pretrained_sha256": sha256} for sha256 in ("feedface" * 8, None, "feedface" * 8)]
    lines = [older, start, start, {"event": "prepared", "data_sha256": "deadbeef" * 8}, *trained]
    (run / "log.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + '\n{"event": "sta')
    return run
