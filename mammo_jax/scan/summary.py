"""The table of a scan, counted: what an archive holds, in numbers that name nobody."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mammo_jax.scan.duplicates import ANOTHER_PATIENT, SAME_PATIENT, UNKNOWN
from mammo_jax.scan.facts import DICOM, OTHER_FILE
from mammo_jax.sources.dicom import INTENTS, PRESENTATION, PROCESSING

USUAL_VIEWS = ("L CC", "L MLO", "R CC", "R MLO")
STUDY_COLUMNS = ("study_id", "patient_id", "images", "views", "missing_views", "for_processing", "for_presentation")
NOT_SAID, NOT_KNOWN = "not said", "not known"
_LONG_NUMBER = re.compile(r"(?<![.\d])\d{3,}(?![.\d])")


@dataclass(frozen=True)
class Table:
    """Counts, the most frequent first: the title of the table, the heading of its names, its rows."""

    title: str
    heading: str
    counted: str
    rows: list[tuple[str, int]]


@dataclass
class Study:
    """The images of one DICOM study; each view with what its images are for."""

    patient_id: str
    images: int = 0
    views: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    intents: Counter[str] = field(default_factory=Counter)

    def missing(self) -> list[str]:
        """Return the usual views that are not there; none where no view is known."""
        return [view for view in USUAL_VIEWS if view not in self.views] if self.views else []

    def views_for_both(self) -> int:
        """Return the number of views that are there FOR PROCESSING and FOR PRESENTATION."""
        return sum(1 for intents in self.views.values() if intents.issuperset(INTENTS))


@dataclass
class Counts:
    """What is counted while the rows pass by."""

    values: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    numbers: Counter[str] = field(default_factory=Counter)
    patients: set[str] = field(default_factory=set)
    instances: Counter[str] = field(default_factory=Counter)
    studies: dict[str, Study] = field(default_factory=dict)

    def add(self, row: Mapping[str, str]) -> None:
        """Count one file."""
        self.numbers["files"] += 1
        self.numbers["file_bytes"] += int(row["file_bytes"])
        self.values["kind"][row["kind"]] += 1
        self.reasons[row["left_out_of"], _LONG_NUMBER.sub("…", row["left_out"])] += 1
        self.numbers["cut short"] += bool(row["missing_bytes"])
        if row["kind"] == OTHER_FILE or not (row["rows"] and row["columns"]):
            return
        self.numbers["images"] += 1
        self.numbers["taken"] += not row["left_out"]
        pixels = int(row["rows"]) * int(row["columns"]) * int(row["frames"] or 1)
        self.numbers["uncompressed_bytes"] += pixels * int(row["bits_allocated"] or 0) // 8
        self.numbers["lossy"] += row["already_lossy"] == "yes"
        for name, value in _described(row).items():
            self.values[name][value] += 1
        if row["kind"] == DICOM:
            self._add_dicom(row)

    def _add_dicom(self, row: Mapping[str, str]) -> None:
        self.numbers["without patient"] += not row["patient_id"]
        if row["patient_id"]:
            self.patients.add(row["patient_id"])
        if row["instance_id"]:
            self.instances[row["instance_id"]] += 1
        if not row["study_id"]:
            return
        study = self.studies.setdefault(row["study_id"], Study(row["patient_id"]))
        study.images += 1
        study.intents[row["intent"]] += 1
        if row["laterality"] and row["view"]:
            study.views[f"{row['laterality']} {row['view']}"].add(row["intent"])


@dataclass(frozen=True)
class Summary:
    """What was counted, as texts and figures.

    Attributes
    ----------
    sentence : str
        How many images compress and study would take.
    notices : list of str
        What to look at before that.
    facts : list of (str, int)
    bytes_on_disk, uncompressed_bytes : int
    reasons : list of (str, str, int)
        Which jobs would leave files out, why, and how many.
    tables : list of Table
    """

    sentence: str
    notices: list[str]
    facts: list[tuple[str, int]]
    bytes_on_disk: int
    uncompressed_bytes: int
    reasons: list[tuple[str, str, int]]
    tables: list[Table]


def count_rows(rows: Iterable[Mapping[str, str]]) -> Counts:
    """Count the rows of a scan's table."""
    counts = Counts()
    for row in rows:
        counts.add(row)
    return counts


def summarise(counts: Counts, groups: Sequence[Sequence[Mapping[str, str]]]) -> Summary:
    """Return what was counted, and the groups of equal images, as texts and figures."""
    numbers, kinds = counts.numbers, counts.values["kind"]
    left_out = Counter({key: count for key, count in counts.reasons.items() if key[1]})
    return Summary(
        sentence=f"{numbers['taken']:,} of {numbers['images']:,} images can be compressed and studied.",
        notices=_notices(counts, groups),
        facts=[
            ("files", numbers["files"]),
            ("DICOM files", kinds[DICOM]),
            ("other image files", numbers["files"] - kinds[DICOM] - kinds[OTHER_FILE]),
            ("files of other kinds", kinds[OTHER_FILE]),
            ("images", numbers["images"]),
            ("patients", len(counts.patients)),
            ("studies", len(counts.studies)),
        ],
        bytes_on_disk=numbers["file_bytes"],
        uncompressed_bytes=numbers["uncompressed_bytes"],
        reasons=[(jobs, reason, count) for (jobs, reason), count in left_out.most_common()],
        tables=[*_image_tables(counts), *_study_tables(counts), _duplicate_table(groups)],
    )


def study_rows(counts: Counts) -> list[dict[str, Any]]:
    """Return one row for each study, in the order of the ids."""
    return [
        {
            "study_id": study_id,
            "patient_id": study.patient_id,
            "images": study.images,
            "views": ", ".join(sorted(study.views)),
            "missing_views": ", ".join(study.missing()),
            "for_processing": study.intents[PROCESSING],
            "for_presentation": study.intents[PRESENTATION],
        }
        for study_id, study in sorted(counts.studies.items())
    ]


def _described(row: Mapping[str, str]) -> dict[str, str]:
    """Return what the tables of images count."""
    lossy = "not lossy" if row["already_lossy"] == "no" else NOT_KNOWN
    if row["already_lossy"] == "yes":
        lossy = f"lossy, {row['lossy_methods'] or 'method not said'}, ratio {row['lossy_ratios'] or 'not said'}"
    described = {
        "size": f"{row['rows']} × {row['columns']}" + (f" × {row['frames']}" if row["frames"] not in ("", "1") else ""),
        "bits": f"{row['bits_stored'] or NOT_SAID} in {row['bits_allocated'] or NOT_SAID}",
        "lossy": lossy,
    }
    if row["kind"] != DICOM:
        return described
    known_view = row["laterality"] and row["view"]
    return described | {
        "sop_class": row["sop_class"] or NOT_SAID,
        "vendor": row["vendor"] or NOT_SAID,
        "intent": row["intent"] or NOT_SAID,
        "view": f"{row['laterality']} {row['view']}" if known_view else NOT_KNOWN,
        "photometric": row["photometric"] or NOT_SAID,
        "syntax": row["transfer_syntax"] or NOT_SAID,
    }


def _image_tables(counts: Counts) -> list[Table]:
    titles = {
        "sop_class": ("Kinds of DICOM objects", "SOP class"),
        "vendor": ("Makers of the devices", "Maker"),
        "intent": ("What the images are for", "Presentation Intent Type"),
        "view": ("Views", "Breast and view"),
        "size": ("Matrix sizes", "Rows × columns"),
        "bits": ("Bits", "Stored in allocated"),
        "photometric": ("Grey or colour", "Photometric Interpretation"),
        "syntax": ("Encodings", "Transfer syntax"),
        "lossy": ("Lossy compression before", "History in the header"),
    }
    return [
        Table(title, heading, "images", counts.values[name].most_common())
        for name, (title, heading) in titles.items()
        if counts.values[name]
    ]


def _study_tables(counts: Counts) -> list[Table]:
    if not counts.studies:
        return []
    missing: Counter[str] = Counter()
    intents: Counter[str] = Counter()
    for study in counts.studies.values():
        gap = ", ".join(study.missing())
        missing[NOT_KNOWN if not study.views else f"{gap} missing" if gap else "all four"] += 1
        kinds = [intent for intent in INTENTS if study.intents[intent]]
        intents[" and ".join(kinds) or NOT_SAID] += 1
    return [
        Table("Usual views of a study (CC and MLO of both breasts)", "Views", "studies", missing.most_common()),
        Table("What the images of a study are for", "Presentation Intent Type", "studies", intents.most_common()),
    ]


def _duplicate_table(groups: Sequence[Sequence[Mapping[str, str]]]) -> Table:
    relations = Counter(group[0]["relation"] for group in groups)
    files = Counter(row["relation"] for group in groups for row in group)
    rows = [
        (f"{relation}: {files[relation]} files", relations[relation])
        for relation in (ANOTHER_PATIENT, SAME_PATIENT, UNKNOWN)
        if relations[relation]
    ]
    return Table("Equal images", "Files with the same pixels", "groups", rows or [("none", 0)])


def _notices(counts: Counts, groups: Sequence[Sequence[Mapping[str, str]]]) -> list[str]:
    numbers = counts.numbers
    both = sum(study.views_for_both() for study in counts.studies.values())
    shared = sum(1 for count in counts.instances.values() if count > 1)
    other_patients = sum(1 for group in groups if group[0]["relation"] == ANOTHER_PATIENT)
    others = len(groups) - other_patients
    notices = [
        ("Groups of equal images with different patients", other_patients, "correct the ids before a study"),
        ("Groups of equal images of one patient, or of none named", others, "keep one image of each"),
        ("Views both FOR PROCESSING and FOR PRESENTATION", both, "choose one of these before a study"),
        ("Images compressed with loss before", numbers["lossy"], "CR 1 is not uncompressed for them"),
        ("Files that end before their pixel data do", numbers["cut short"], "copy them again"),
        ("SOP Instance UIDs of more than one file", shared, "a PACS keeps one of these files"),
        ("DICOM images without PatientID", numbers["without patient"], "name their patients in a study's table"),
    ]
    return [f"{what}: {count:,}; {advice}." for what, count, advice in notices if count]
