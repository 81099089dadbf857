"""The command line: `mammo-jax JOB [flags]`, also as `python -m mammo_jax JOB` or `python -m experiments.JOB`."""

from __future__ import annotations

import importlib
import os
import sys

JOBS = {
    "study": "the whole way from images to a verdict and a report",
    "prepare": "the study's first stage: compress, cut, write the dataset and its audit",
    "train": "the study's second stage: train on every fold and ratio, score the held-out folds",
    "saliency": "where the networks look, and what compression changes of it (study --saliency)",
    "observer": "how much of a loss is in the images: model observers, fewer pixels, and shortcuts beside the networks",
    "evaluate": "statistics, verdict and report of a predictions table, your own model's for instance",
    "protocol": "fix the verdict's rule before any score exists, with a hash",
    "power": "how many patients a study needs, and the smallest loss that it can show",
    "report": "build a run's report.html again",
    "compare": "several studies in one page: verdicts side by side, curves in one figure, paired differences",
    "scan": "what a folder of images holds, and what compress and study would leave out of it",
    "compress": "compress files to exact ratios, DICOM to DICOM",
    "scores-template": "the table of a finished model's scores at each ratio, to be filled in and evaluated",
    "receive": "compress what a PACS sends, and send it on",
    "send": "send files to a PACS or a DICOMweb server",
    "fetch": "get the studies of a DICOMweb server",
    "verify": "check compressed files by their hashes and with other decoders",
}
REPOSITORY_JOBS = {
    "benchmark-codec": "our codec beside OpenJPEG",
    "benchmark-scan": "headers of a generated archive, per second",
    "benchmark-training": "our training and inference beside PyTorch",
    "check-against-torch": "the same networks, weights and batches in JAX and in PyTorch: how far apart are they?",
    "check-saliency": "our integrated gradients beside captum's",
    "check-auprc": "how often the interval of AUPRC contains the population's, in simulated studies",
    "check-power": "the predicted power of the verdict beside that of simulated studies",
    "check-harm": "how often harm at the operating point forbids a ratio, in simulated studies",
    "check-statistics": "how often the verdict errs, in simulated studies with a known loss",
}
"""Jobs of the folder experiments/, which is not part of an installed package."""

PACS_PACKAGES = ("pynetdicom", "dicomweb_client")
"""Packages of the extra `pacs`."""


def usage() -> str:
    """List the jobs."""
    lines = [f"  {name:<21}{text}" for name, text in (JOBS | REPOSITORY_JOBS).items()]
    return "\n".join(["usage: mammo-jax JOB [flags]     (mammo-jax JOB --help lists a job's flags)", "", *lines])


def job_module(job: str) -> str:
    """Name of the module that holds a job's `main`."""
    return f"{'mammo_jax.jobs' if job in JOBS else 'experiments'}.{job.replace('-', '_')}"


def main() -> None:
    """Run the job that the first argument names."""
    if os.getcwd() not in sys.path:  # the console command has its own folder there; a network of the user lies here
        sys.path.append(os.getcwd())
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(usage())
        return
    job = sys.argv[1].replace("_", "-")
    if job not in JOBS | REPOSITORY_JOBS:
        raise SystemExit(f"error: there is no job {sys.argv[1]!r}\n\n{usage()}")
    try:
        module = importlib.import_module(job_module(job))
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in PACS_PACKAGES:
            raise SystemExit(f"error: {error.name} is not installed; pip install 'mammo-jax[pacs]'") from error
        if error.name != "experiments":
            raise
        raise SystemExit(f"error: {job} is not in the installed package; run it in a clone of the repository") from None
    module.main(sys.argv[2:])
