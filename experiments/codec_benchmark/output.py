"""The benchmark's tables, CSV file and plot."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.codec_benchmark.stages import DecodingTrial, Stage
from experiments.codec_benchmark.trials import ONE_THREAD, Image, Trial
from mammo_jax.compression.image_quality import Quality
from mammo_jax.files import atomic_path
from mammo_jax.ratios import ratio_text

QUALITIES = [field.name for field in fields(Quality)]
MAX_DECIBELS = 8  # shown by the plot
COLUMNS = [
    *("image", "group", "codec", "threads", "ratio", "target_bytes", "codestream_bytes", "size_error"),
    *("encode_seconds", "encode_megapixels_a_second", "encode_times_ours"),
    *("decode_seconds", "decode_megapixels_a_second", "decode_times_ours"),
    *QUALITIES, *(f"ours_at_equal_bytes_{name}" for name in QUALITIES), "remark",
]  # fmt: skip


def rows(image: Image, trials: Sequence[Trial], equal: Mapping[int, Quality]) -> list[dict[str, Any]]:
    """One dict of `COLUMNS` per trial; "times_ours" is its time over ours at the same ratio and number of threads."""
    own = {(trial.threads, trial.ratio): trial for trial in trials if trial.group == "ours"}
    megapixels = image.pixels.size / 1e6
    result = []
    for trial in trials:
        row: dict[str, Any] = {name: value for name, value in vars(trial).items() if name != "quality"}
        ours = own.get((trial.threads, trial.ratio))
        for work in ("encode", "decode"):
            seconds = row[f"{work}_seconds"]
            row[f"{work}_megapixels_a_second"] = megapixels / seconds
            row[f"{work}_times_ours"] = seconds / getattr(ours, f"{work}_seconds") if ours else math.nan
        has_target = trial.codestream_bytes and trial.target_bytes
        row["size_error"] = trial.codestream_bytes / trial.target_bytes - 1 if has_target else math.nan
        if trial.quality is not None:
            row |= asdict(trial.quality)
            row |= {f"ours_at_equal_bytes_{name}": v for name, v in asdict(equal[trial.codestream_bytes]).items()}
        result.append(row)
    return result


def write_csv(path: Path, table: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write dicts as a CSV file, complete or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(table)


def print_table(table: Sequence[Mapping[str, Any]]) -> None:
    """Print the trials, grouped by number of threads and ratio."""
    print(
        f"{'':38}{'T':>2}{'CR':>7}{'bytes':>9}{'off by':>8}{'encode':>9}{'MP/s':>6}{'×':>6}{'decode':>9}{'MP/s':>6}"
        f"{'×':>6}{'PSNR':>7}{'breast':>7}{'SSIM':>7}{'breast':>7}{'ours at equal bytes':>24}"
    )
    for row in sorted(table, key=lambda row: (row["threads"], row["ratio"])):  # stable
        print(f"{row['codec'][:37]:38}{row['threads']:2}{ratio_text(row['ratio']):>7}{_figures(row)}")


def _figures(row: Mapping[str, Any]) -> str:
    if not row["codestream_bytes"]:
        return f"  not reachable: {row['remark']}"
    size_error = "" if math.isnan(row["size_error"]) else f"{row['size_error']:.1%}"
    text = f"{row['codestream_bytes']:9}{size_error:>8}"
    for work in ("encode", "decode"):
        text += f"{1e3 * row[f'{work}_seconds']:6.0f} ms{row[f'{work}_megapixels_a_second']:6.0f}"
        text += f"{row[f'{work}_times_ours']:6.2f}"
    if "psnr" in row:
        equal = {name: row[f"ours_at_equal_bytes_{name}"] for name in QUALITIES}
        text += f"{row['psnr']:7.2f}{row['psnr_breast']:7.2f}{row['ssim']:7.4f}{row['ssim_breast']:7.4f}"
        text += f"{equal['psnr']:9.2f}{equal['psnr_breast']:7.2f}{equal['ssim_breast']:8.4f}"
    if row["remark"] == ONE_THREAD:
        text += f"  {ONE_THREAD}"
    return text


def speed_summary(table: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each number of threads and ratio: the time of the fastest OpenJPEG over ours."""
    lines = []
    for threads, ratio in sorted({(row["threads"], row["ratio"]) for row in table if row["group"] == "OpenJPEG"}):
        here = [row for row in table if (row["threads"], row["ratio"], row["group"]) == (threads, ratio, "OpenJPEG")]
        text = f"threads {threads}, CR {ratio_text(ratio):>6}:"
        for work in ("encode", "decode"):
            best = min(here, key=lambda row: row[f"{work}_seconds"])
            text += f"   {work} {best[f'{work}_times_ours']:5.2f} × (fastest: {best['codec'].split()[0]})"
        lines.append(text)
    return lines


def cheapest_pairs(table: Sequence[Mapping[str, Any]], threads: int) -> float:
    """Seconds that the fastest OpenJPEG takes to encode and decode at every ratio."""
    totals: dict[str, float] = {}
    for row in table:
        if row["group"] == "OpenJPEG" and row["threads"] == threads:
            seconds = row["encode_seconds"] + row["decode_seconds"]
            totals[row["codec"]] = totals.get(row["codec"], 0.0) + seconds
    return min(totals.values())


def print_stages(stages: Sequence[Stage], title: str) -> None:
    """Print the time of each stage, and a lower bound of it where one is known."""
    print(title)
    for stage in stages:
        floor = f"{1e3 * stage.floor:8.1f} ms = {stage.floor_is}" if stage.floor else ""
        times = f"{stage.seconds / stage.floor:6.1f} × the floor of" if stage.floor else ""
        print(f"    {stage.name:26}{1e3 * stage.seconds:8.1f} ms{times}{floor}")


def print_decoding(trial: DecodingTrial, ratio: float | None) -> None:
    """Print the times of decoding beside OpenJPEG's, and the stages of ours."""
    which = "lossless" if ratio is None else f"CR {ratio_text(ratio)}"
    print_stages(
        trial.stages,
        f"decoding, {which}, one thread: {1e3 * trial.ours:.0f} ms; OpenJPEG {1e3 * trial.openjpeg:.0f} ms = "
        f"{trial.openjpeg / trial.ours:.2f} ×; our stages, profiled:",
    )


def plot(path: Path, table: Sequence[Mapping[str, Any]], title: str) -> None:
    """Plot speed against ratio, and the PSNR against ours at equal bytes."""
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    time_axes, decode_axes, quality_axes = figure.subplots(1, 3)
    names = list(dict.fromkeys(row["codec"] for row in table))
    for number, name in enumerate(names):
        style = {"color": f"C{number % 10}", "marker": "o", "markersize": 4, "linewidth": 2.5 if number == 0 else 1.3}
        mine = [row for row in table if row["codec"] == name and row["threads"] == 1 and row["codestream_bytes"]]
        for axes, work in ((time_axes, "encode"), (decode_axes, "decode")):
            ratios = [row["ratio"] for row in mine]
            axes.plot(ratios, [row[f"{work}_megapixels_a_second"] for row in mine], label=name, **style)
        seen = [row for row in mine if "psnr_breast" in row]
        gains = [row["psnr_breast"] - row["ours_at_equal_bytes_psnr_breast"] for row in seen]
        quality_axes.plot([row["ratio"] for row in seen], np.clip(gains, -MAX_DECIBELS, MAX_DECIBELS), **style)
    for axes, label in (
        (time_axes, "encode, MPixel/s, one thread"),
        (decode_axes, "decode, MPixel/s, one thread"),
        (quality_axes, f"PSNR in the breast against ours, dB (±{MAX_DECIBELS})"),
    ):
        axes.set_xscale("log")
        axes.set_xlabel("compression ratio asked for")
        axes.set_title(label, fontsize=11)
        axes.grid(alpha=0.3)
    time_axes.set_yscale("log")
    decode_axes.set_yscale("log")
    figure.suptitle(title)
    figure.legend(
        *time_axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9, frameon=False
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
