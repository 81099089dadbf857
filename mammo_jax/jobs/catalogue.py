"""The jobs: what each is for, the flags that matter first, and three examples."""

from __future__ import annotations

from dataclasses import dataclass

STUDY_CONFIG = "mammo_jax.jobs.config:StudyConfig"
STUDY_FLAGS = (
    "--source", "--source-dir", "--unit", "--target", "--ratios", "--out", "--model", "--epochs", "--seeds", "--workers"
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What the command line says of a job before the job itself is imported.

    Attributes
    ----------
    text : str
        What it does, in a line.
    config : str
        Its configuration class, as "package.module:Class".
    first : tuple of str
        The flags that --help shows; empty for all.
    examples : tuple of (command, what it does)
        The command without "mammo-jax".
    """

    text: str
    config: str
    first: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]

    @property
    def shares_study_flags(self) -> bool:
        """Whether it has the flags of a study."""
        return self.config == STUDY_CONFIG


STUDY_JOBS = {
    "study": Job(
        "the whole way from images to a verdict and a report",
        STUDY_CONFIG,
        STUDY_FLAGS,
        (
            ("study", "the default study on built-in phantoms"),
            ("study --source folder --table images.csv --unit whole --out runs/mine", "your own images"),
            ("study --config runs/mine/config.json --seeds 0 1 2 --out runs/mine-3", "a run again, with more seeds"),
        ),
    ),
    "plan": Job(
        "what a study will do, cost and need, and what of it cannot work; writes nothing",
        STUDY_CONFIG,
        (*STUDY_FLAGS, "--check"),
        (
            ("plan", "the default study"),
            ("plan --source folder --table images.csv --unit whole", "your own images, by their headers"),
            ("plan --source folder --table images.csv --unit whole --check pixels", "with every pixel read"),
        ),
    ),
    "prepare": Job(
        "the study's first stage: compress, cut, write the dataset and its audit",
        STUDY_CONFIG,
        STUDY_FLAGS,
        (
            ("prepare --out runs/study", "the dataset of the default study"),
            ("prepare --codec jpegxl --ratios 15 50 100 --out runs/jpegxl", "with another codec"),
            ("prepare --config runs/mine/config.json --out runs/again", "the dataset of a run again"),
        ),
    ),
    "train": Job(
        "the study's second stage: train on every fold and ratio, score the held-out folds",
        STUDY_CONFIG,
        STUDY_FLAGS,
        (
            ("train --out runs/study", "after mammo-jax prepare with the same flags"),
            ("train --config runs/mine/config.json", "go on with a run"),
            ("train --distributed --out runs/study", "one of several machines that share each network"),
        ),
    ),
    "saliency": Job(
        "where the networks look, and what compression changes of it (study --saliency)",
        STUDY_CONFIG,
        (*STUDY_FLAGS, "--saliency-method"),
        (
            ("saliency --out runs/study", "of a finished study, with the same flags"),
            ("saliency --config runs/mine/config.json", "of a run with other flags"),
            ("saliency --saliency-method grad_cam --out runs/study", "by another method"),
        ),
    ),
    "observer": Job(
        "how much of a loss is in the images: model observers, fewer pixels, and shortcuts beside the networks",
        "mammo_jax.jobs.observer:ObserverConfig",
        (),
        (
            ("observer --out runs/study", "of a prepared or trained study of patches"),
            ("observer --out runs/mine-patch", "of another one"),
            ("observer --help", "what it compares"),
        ),
    ),
    "report": Job(
        "build a run's report.html again",
        "mammo_jax.jobs.report:ReportConfig",
        (),
        (
            ("report --run runs/study", "of a study"),
            ("report --run runs/my-model", "of a finished model's scores"),
            ("report --help", "what it reads"),
        ),
    ),
    "compare": Job(
        "several studies in one page: verdicts side by side, curves in one figure, paired differences",
        "mammo_jax.jobs.compare:CompareConfig",
        (),
        (
            ("compare runs/jpeg2000 runs/jpegxl --out compare.html", "two codecs"),
            ("compare runs/study runs/mine", "phantoms and your own images, into compare.html"),
            ("compare --help", "what it compares"),
        ),
    ),
}
MODEL_JOBS = {
    "evaluate": Job(
        "statistics, verdict and report of a predictions table, your own model's for instance",
        "mammo_jax.jobs.evaluate:EvaluateConfig",
        ("--predictions", "--out", "--frozen", "--analysis-level", "--margin", "--threshold", "--protocol", "--scored"),
        (
            ("evaluate --predictions scores.csv --frozen --out runs/my-model", "a finished model"),
            ("evaluate --predictions scores.csv --frozen --margin 0.03 --out runs/strict", "with a smaller margin"),
            ("evaluate --predictions scores.csv --frozen --protocol protocol.json --out runs/p", "with a protocol"),
        ),
    ),
    "protocol": Job(
        "fix the verdict's rule before any score exists, with a hash",
        "mammo_jax.jobs.protocol:ProtocolConfig",
        (),
        (
            ("protocol --images test.csv --ratios 15 50 --target malignant --primary-model mine --frozen", "a model"),
            ("protocol --images test.csv --ratios 15 --target malignant --primary-model m --margin 0.03", "a margin"),
            ("protocol --help", "what it fixes"),
        ),
    ),
    "power": Job(
        "how many patients a study needs, and the smallest loss that it can show",
        "mammo_jax.jobs.power:PowerConfig",
        (),
        (
            ("power --auroc 0.85 --correlation 0.9", "from assumptions"),
            ("power --predictions runs/pilot/predictions.parquet", "from a pilot study"),
            ("power --auroc 0.9 --correlation 0.9 --margin 0.03", "with a smaller margin"),
        ),
    ),
    "scores-template": Job(
        "the table of a finished model's scores at each ratio, to be filled in and evaluated",
        "mammo_jax.jobs.scores_template:TemplateConfig",
        (),
        (
            ("scores-template --from compressed --labels labels.csv --out scores.csv", "of compressed files"),
            ("scores-template --from compressed --out scores.csv", "with labels to be filled in"),
            ("scores-template --help", "what the columns are"),
        ),
    ),
}
ARCHIVE_JOBS = {
    "scan": Job(
        "what a folder of images holds, and what compress and study would leave out of it",
        "mammo_jax.jobs.scan:ScanConfig",
        (),
        (
            ("scan ARCHIVE --out scan", "the headers"),
            ("scan ARCHIVE --out scan --check pixels", "the pixels as well"),
            ("scan ARCHIVE --out scan --hashed-names", "without names of files in the tables"),
        ),
    ),
    "compress": Job(
        "compress files to exact ratios, DICOM to DICOM",
        "mammo_jax.jobs.compress:CompressConfig",
        (
            "INPUTS",
            "--ratios",
            "--out",
            "--syntax",
            "--layers",
            "--deidentify",
            "--verify",
            "--bits-stored",
            "--workers",
        ),
        (
            ("compress ARCHIVE --ratio 100 --out compressed", "an archive"),
            ("compress a.dcm b.png --ratios 15 50 100 --out compressed", "a few files, at several ratios"),
            ("compress ARCHIVE --ratio 50 --deidentify --hashed-names --out given", "without identity in the headers"),
        ),
    ),
    "verify": Job(
        "check compressed files by their hashes and with other decoders",
        "mammo_jax.jobs.verify:VerifyConfig",
        (),
        (
            ("verify compressed", "a folder that compress wrote"),
            ("verify compressed --workers 1", "with one process"),
            ("verify --help", "what is compared"),
        ),
    ),
    "receive": Job(
        "compress what a PACS sends, and send it on",
        "mammo_jax.jobs.receive:ReceiveConfig",
        ("--port", "--ratio", "--out", "--host", "--allow", "--send-to", "--tls.certificate", "--workers"),
        (
            ("receive --port 11112 --ratio 100 --out received", "from this machine alone"),
            ("receive --host 0.0.0.0 --allow PACS_ROUTER --port 11112 --ratio 100 --out received", "from a PACS"),
            ("receive --port 11112 --ratio 100 --out received --send-to PACS@pacs:104", "and send it on"),
        ),
    ),
    "send": Job(
        "send files to a PACS or a DICOMweb server",
        "mammo_jax.jobs.send:SendConfig",
        (),
        (
            ("send compressed --to PACS@pacs.example:104", "by C-STORE"),
            ("send compressed --to https://pacs.example/dicom-web", "by STOW-RS"),
            ("send compressed --to tls://PACS@pacs.example:2762 --tls.authorities hospital.pem", "by TLS"),
        ),
    ),
    "fetch": Job(
        "get the studies of a DICOMweb server",
        "mammo_jax.jobs.fetch:FetchConfig",
        (),
        (
            ("fetch https://pacs.example/dicom-web --out archive", "all with mammography in them"),
            ("fetch https://pacs.example/dicom-web --studies 1.2.3.4 1.2.3.5 --out archive", "some studies"),
            ("fetch https://pacs.example/dicom-web --dates 20260101-20260630 --out archive", "those of half a year"),
        ),
    ),
}
GROUPS = {"Studies": STUDY_JOBS, "Your own model": MODEL_JOBS, "Archives": ARCHIVE_JOBS}
JOBS = STUDY_JOBS | MODEL_JOBS | ARCHIVE_JOBS
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
    "write-help": "write what --help and completion say, after a flag or its text has changed",
}
"""Jobs of the folder experiments/, which is not part of an installed package."""
