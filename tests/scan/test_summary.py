"""The counts: studies and their views, what is there twice, what would be left out."""

from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate
from scan_archive import mammogram, save, scan

from mammo_jax.scan.summary import count_rows, study_rows, summarise
from mammo_jax.scan.terminal import lines

PROCESSING, PRESENTATION = "FOR PROCESSING", "FOR PRESENTATION"


def counted(folder, out):
    counts = count_rows(scan(folder, out))
    return counts, summarise(counts, [])


def table(summary, title):
    return dict(next(table.rows for table in summary.tables if table.title.startswith(title)))


def test_views_that_are_missing_and_images_for_both(tmp_path):
    number = 0
    for study, views in {
        "1.1": ["L CC", "L MLO", "R CC", "R MLO"],
        "1.2": ["L CC", "L MLO", "R CC"],
        "1.3": ["R CC"],
    }.items():
        for view in views:
            for intent in (PROCESSING, PRESENTATION) if study == "1.2" else (PRESENTATION,):
                side, name = view.split()
                instance = mammogram(
                    number, study=study, patient=study, side=side, view=name, PresentationIntentType=intent
                )
                save(tmp_path / "in" / str(number), instance)
                number += 1
    save(tmp_path / "in" / "unknown", mammogram(99, study="1.4", ViewCodeSequence=None, ImageLaterality=None))
    counts, summary = counted(tmp_path / "in", tmp_path / "out")
    assert table(summary, "Usual views") == {
        "all four": 1, "R MLO missing": 1, "L CC, L MLO, R MLO missing": 1, "not known": 1,
    }  # fmt: skip
    assert table(summary, "What the images of a study") == {
        PRESENTATION: 2, f"{PROCESSING} and {PRESENTATION}": 1, "not said": 1,
    }  # fmt: skip
    assert "Views both FOR PROCESSING and FOR PRESENTATION: 3; choose one of these before a study." in summary.notices
    rows = {row["images"]: row for row in study_rows(counts)}
    assert (rows[6]["for_processing"], rows[6]["for_presentation"], rows[6]["missing_views"]) == (3, 3, "R MLO")
    assert dict(summary.facts)["patients"] == 4
    assert summary.sentence == "12 of 12 images can be compressed and studied."


def test_reasons_kinds_and_sizes(tmp_path):
    for number, rows in enumerate((40_001, 50_001)):
        save(tmp_path / "in" / f"large{number}", mammogram(number, Rows=rows, Columns=40_000))
    save(tmp_path / "in" / "good", mammogram(5, LossyImageCompression="01", LossyImageCompressionRatio="9.5"))
    overlay = mammogram(6)
    overlay.add_new((0x6000, 0x0102), "US", 13)
    overlay.file_meta.TransferSyntaxUID = uid.RLELossless
    overlay.PixelData = encapsulate([b"\0\0"])
    save(tmp_path / "in" / "overlay", overlay)
    (tmp_path / "in" / "note.txt").write_text("none")
    Image.new("L", (7, 5)).save(tmp_path / "in" / "a.png")
    _, summary = counted(tmp_path / "in", tmp_path / "out")
    reasons = {reason: (jobs, count) for jobs, reason, count in summary.reasons}
    (why,) = [reason for reason in reasons if reason.startswith("says that an overlay is in unused bits")]
    assert reasons.pop(why) == ("compress", 1)
    assert ("compress, study", 2) in reasons.values()  # two sizes, one reason
    assert len(reasons) == 2
    assert table(summary, "Matrix sizes")["5 × 7"] == 1
    assert table(summary, "Lossy")["lossy, method not said, ratio 9.5"] == 1
    assert dict(summary.facts) == {
        "files": 6, "DICOM files": 4, "other image files": 1, "files of other kinds": 1, "images": 5, "patients": 1,
        "studies": 1,
    }  # fmt: skip
    text = "\n".join(lines(summary))
    assert "compress alone: says that an overlay" in text
    assert "Images compressed with loss before: 1; CR 1 is not uncompressed for them." in text
    assert text.endswith("2 of 5 images can be compressed and studied.")
