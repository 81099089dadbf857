import pickle

import imagecodecs
import numpy as np
import pytest
from dicom_files import SECRETS, dataset, write
from PIL import Image

from mammo_jax.sources import SourceError
from mammo_jax.sources.folder import Folder
from mammo_jax.sources.identifiers import keyed_hash, load_key

GREY12 = np.random.default_rng(0).integers(0, 4096, (20, 30)).astype(np.uint16)
GREY8 = (GREY12 >> 4).astype(np.uint8)


@pytest.fixture(autouse=True)
def own_config(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(GREY12))
    (tmp_path / "b.pgm").write_bytes(b"P5 30 20 255\n" + GREY8.tobytes())
    Image.fromarray(GREY8).save(tmp_path / "c.tif")
    write(tmp_path / "d.dcm", dataset(GREY12))
    return tmp_path


def folder_source(folder, text, **options):
    (folder / "images.csv").write_text(text)
    return Folder(folder / "images.csv", **options)


ALL = "path,patient_id,label\na.png,P1,normal\nb.pgm,P1,benign\nc.tif,P2,malignant\nd.dcm,P3,normal\n"


def test_every_format_in_one_table(folder):
    source = folder_source(folder, ALL, bits_stored=12)
    assert len(source) == 4
    assert source.labels() == ["normal", "benign", "malignant", "normal"]
    png, pgm, tif, dcm = source
    for mammogram, pixels, bits in ((png, GREY12, 12), (pgm, GREY8, 8), (tif, GREY8, 8), (dcm, GREY12, 12)):
        np.testing.assert_array_equal(mammogram.pixels, pixels)
        assert mammogram.bits_stored == bits
    assert (dcm.laterality, dcm.view, dcm.pixel_pitch) == ("L", "MLO", 0.085)
    assert (png.laterality, png.view, png.pixel_pitch, png.lesions) == (None, None, None, ())


def test_the_table_is_known_without_pixels_and_changes_with_every_cell(folder):
    text = "path,patient_id,label,lesion_row,lesion_column,lesion_radius,lesion_mask\n"
    text += "a.png,P1,normal,,,,\nb.pgm,P1,benign,4,5,2,m.png\n"
    first = folder_source(folder, text, plain_ids=True, bits_stored=12).table()
    assert [(row["image_id"], row["patient_id"], row["label"]) for row in first] == [
        ("a", "P1", "normal"),
        ("b", "P1", "benign"),
    ]
    assert {str(folder / name) for name in ("b.pgm", "m.png", "images.csv")} <= set(first[1]["files"])
    for old, new in (("4,5,2", "4,6,2"), ("m.png", "n.png"), ("P1,normal", "P2,normal"), ("benign", "malignant")):
        assert folder_source(folder, text.replace(old, new), plain_ids=True, bits_stored=12).table() != first


def test_ids_are_keyed_hashes(folder):
    source = folder_source(folder, ALL, bits_stored=12)
    key = load_key()
    assert source.patients() == [keyed_hash(patient, key, "patient") for patient in ("P1", "P1", "P2", "P3")]
    assert source[0].image_id == keyed_hash("a.png", key, "image")
    assert source[0].patient_id == source.patients()[0]
    assert Folder(folder / "images.csv", bits_stored=12).patients() == source.patients()
    (folder / "other.key").write_bytes(bytes(32))
    assert Folder(folder / "images.csv", bits_stored=12, id_key=folder / "other.key").patients() != source.patients()


def test_plain_ids_on_request(folder):
    source = folder_source(
        folder, "path,patient_id,label,image_id\nb.pgm,P1,normal,\nd.dcm,P2,normal,x\n", plain_ids=True
    )
    assert [(mammogram.patient_id, mammogram.image_id) for mammogram in source] == [("P1", "b"), ("P2", "x")]


def test_no_identifier_in_what_is_pickled(folder):
    source = folder_source(folder, "path,patient_id,label\nd.dcm,,normal\nb.pgm,Gerda,normal\n")
    assert source.patients()[0] == keyed_hash(SECRETS["PatientID"], load_key(), "patient")
    for secret in (*SECRETS.values(), "Gerda"):
        assert secret.encode() not in pickle.dumps(source)
        assert secret.encode() not in pickle.dumps(source[0])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source))[0].pixels, source[0].pixels)  # noqa: S301


def test_the_table_takes_precedence_over_the_header(folder):
    text = "path,patient_id,label,laterality,view,pixel_pitch\nd.dcm,P1,normal,R,CC,0.1\n"
    mammogram = folder_source(folder, text)[0]
    assert (mammogram.laterality, mammogram.view, mammogram.pixel_pitch) == ("R", "CC", 0.1)


def test_several_lesions_of_one_image(folder):
    text = (
        "path,patient_id,label,lesion_row,lesion_column,lesion_radius,lesion_label\n"
        "b.pgm,P1,malignant,5,6,2,benign\nb.pgm,P1,malignant,7,8,3,\nd.dcm,P2,benign,,,,\n"
    )
    source = folder_source(folder, text)
    assert source.labels() == ["malignant", "benign"]
    lesions = [(lesion.row, lesion.column, lesion.radius, lesion.label) for lesion in source[0].lesions]
    assert lesions == [(5, 6, 2, "benign"), (7, 8, 3, "malignant")]
    assert source[1].lesions == ()


def test_density_and_the_kind_of_a_lesion_are_read_for_subgroups(folder):
    text = (
        "path,patient_id,label,density,lesion_row,lesion_column,lesion_radius,lesion_kind\n"
        "b.pgm,P1,malignant,c,5,6,2,mass\nb.pgm,P1,malignant,c,7,8,3,\nd.dcm,P2,normal,,,,,\n"
    )
    source = folder_source(folder, text)
    assert [lesion.kind for lesion in source[0].lesions] == ["mass", None]
    assert [mammogram.density for mammogram in (source[0], source[1])] == ["c", None]


def test_a_lesion_mask(folder):
    mask = np.zeros((20, 30), np.uint8)
    mask[4:9, 10:13] = 255
    (folder / "mask.png").write_bytes(imagecodecs.png_encode(mask))
    text = "path,patient_id,label,lesion_mask\nb.pgm,P1,malignant,mask.png\n"
    (lesion,) = folder_source(folder, text)[0].lesions
    np.testing.assert_array_equal(lesion.mask, mask > 0)
    assert (lesion.row, lesion.column) == (6, 11)
    rows, columns = np.nonzero(mask)
    assert lesion.radius == pytest.approx(np.hypot(rows - 6, columns - 11).max())
    (folder / "mask.png").write_bytes(imagecodecs.png_encode(mask[:-1]))
    with pytest.raises(SourceError, match=r"line 2, field 'lesion_mask'.*\(20, 30\)"):
        Folder(folder / "images.csv")[0]


def test_bits_stored_by_column_file_option_or_the_largest_pixel(folder):
    text = "path,patient_id,label,bits_stored\na.png,P1,normal,13\nb.pgm,P1,normal,\nc.tif,P1,normal,\n"
    images = list(folder_source(folder, text))
    assert [image.bits_stored for image in images] == [13, 8, 8]
    assert not any(image.bits_inferred for image in images)
    told = folder_source(folder, "path,patient_id,label\na.png,P1,normal\n", bits_stored=14)[0]
    assert (told.bits_stored, told.bits_inferred) == (14, False)
    for largest, bits in ((255, 8), (256, 10), (3000, 12), (4095, 12), (4096, 14), (65535, 16)):
        pixels = np.zeros((20, 30), np.uint16)
        pixels[3, 4] = largest
        (folder / "d.png").write_bytes(imagecodecs.png_encode(pixels))
        found = folder_source(folder, "path,patient_id,label\nd.png,P1,normal\n")[0]
        assert (found.bits_stored, found.bits_inferred) == (bits, True)


def test_too_few_bits_stored_are_named(folder):
    with pytest.raises(SourceError, match=r"a\.png: has a pixel of 4\d+, more than bits_stored = 10"):
        folder_source(folder, "path,patient_id,label\na.png,P1,normal\n", bits_stored=10)[0]


def test_ignored_columns_are_logged(folder, caplog):
    folder_source(folder, "path,patient_id,label,lesion_colum\nb.pgm,P1,normal,3\n")
    assert "lesion_colum" in caplog.text


def test_a_bad_file_leaves_the_others(folder):
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    source = folder_source(folder, ALL + "gone.png,P4,normal\n", bits_stored=8)
    with pytest.raises(SourceError, match=r"a\.png: is damaged"):
        source[0]
    with pytest.raises(SourceError, match=r"gone\.png: cannot be read"):
        source[4]
    np.testing.assert_array_equal(source[1].pixels, GREY8)


def test_absolute_paths_are_allowed_and_escapes_are_not(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    source = folder_source(elsewhere, f"path,patient_id,label\n{folder / 'b.pgm'},P1,normal\n")
    np.testing.assert_array_equal(source[0].pixels, GREY8)
    for path in ("../b.pgm", "x/../../b.pgm", ".."):
        with pytest.raises(SourceError, match=r"field 'path'.*is outside the table's folder; give an absolute path"):
            folder_source(folder, f"path,patient_id,label\n{path},P1,normal\n")
    assert len(folder_source(folder, "path,patient_id,label\n..b.pgm,P1,normal\nx/../b.pgm,P1,normal\n")) == 2


LESION = "path,patient_id,label,lesion_row,lesion_column,lesion_radius,lesion_label\n"
BAD = {
    "label": ("path,patient_id,label\nb.pgm,P1,cancer\n", "line 2, field 'label': 'cancer' is not one of normal"),
    "no label": ("path,patient_id,label\nb.pgm,P1,\n", "field 'label': is empty"),
    "no patient": ("path,patient_id,label\nb.pgm,,normal\n", "field 'patient_id': is empty, and .*b.pgm"),
    "no path": ("path,patient_id,label\n,P1,normal\n", "field 'path': is empty"),
    "two patients": (
        "path,patient_id,label\nb.pgm,P1,normal\nb.pgm,P2,normal\n",
        "line 3, field 'patient_id': differs",
    ),
    "same id": (
        "path,patient_id,label,image_id\nb.pgm,P1,normal,x\nc.tif,P1,normal,x\n",
        "b.pgm and .*c.tif have the same",
    ),
    "laterality": ("path,patient_id,label,laterality\nb.pgm,P1,normal,links\n", "'laterality': 'links' is not one of"),
    "bits": ("path,patient_id,label,bits_stored\nb.pgm,P1,normal,17\n", "'bits_stored': 17 is not a whole number"),
    "half bits": ("path,patient_id,label,bits_stored\nb.pgm,P1,normal,7.5\n", "field 'bits_stored': 7.5"),
    "pitch": ("path,patient_id,label,pixel_pitch\nb.pgm,P1,normal,-1\n", "field 'pixel_pitch': -1 mm"),
    "half a circle": (LESION + "b.pgm,P1,benign,5,,3,\n", "belongs to lesion_row"),
    "radius": (LESION + "b.pgm,P1,benign,5,5,0,\n", "field 'lesion_radius': 0 is not above 0"),
    "normal lesion": (LESION + "b.pgm,P1,normal,5,5,2,\n", "is normal, but a lesion is marked"),
    "worse lesion": (LESION + "b.pgm,P1,benign,5,5,2,malignant\n", "is benign, but its lesion is malignant"),
    "nowhere": (LESION + "b.pgm,P1,malignant,,,,benign\n", "is set without a position"),
    "kind of nothing": (
        "path,patient_id,label,lesion_kind\nb.pgm,P1,malignant,mass\n",
        "field 'lesion_kind': is set without a position",
    ),
    "two densities": ("path,patient_id,label,density\nb.pgm,P1,benign,a\nb.pgm,P1,benign,b\n", "'density': differs"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_tables_name_line_and_field(folder, kind):
    text, message = BAD[kind]
    with pytest.raises(SourceError, match=rf"images\.csv.*{message}"):
        folder_source(folder, text)


def test_a_lesion_outside_its_image_is_named(folder):
    source = folder_source(folder, LESION + "b.pgm,P1,benign,20,5,2,\n")
    with pytest.raises(SourceError, match=r"line 2, field 'lesion_row'.*outside"):
        source[0]


def test_plain_ids_must_fit_file_names(folder):
    with pytest.raises(SourceError, match="cannot be used in file names"):
        folder_source(folder, "path,patient_id,label\nb.pgm,../P1,normal\n", plain_ids=True)
    with pytest.raises(SourceError, match="only used hashed"):
        folder_source(folder, "path,patient_id,label\nd.dcm,,normal\n", plain_ids=True)


def test_the_limit_reaches_every_reader(folder):
    for name in ("a.png", "b.pgm", "c.tif", "d.dcm"):
        source = folder_source(folder, f"path,patient_id,label\n{name},P1,normal\n", max_pixels=599, bits_stored=12)
        with pytest.raises(SourceError, match="more than the limit of 599"):
            source[0]


def test_real_files_of_both_kinds(shared_data, tmp_path):
    png = shared_data / "png16"
    lines = [f"{png / f'0_{view}.png'},exam,{label},{view[0]},{view[2:]}" for view, label in (
        ("L-CC", "normal"), ("L-MLO", "normal"), ("R-CC", "benign"), ("R-MLO", "benign")
    )]  # fmt: skip
    lines.append(f"{shared_data / 'dicom' / 'siemens_mammomat_spot.dcm'},,benign,,")
    source = folder_source(
        tmp_path, "path,patient_id,label,laterality,view\n" + "\n".join(lines) + "\n", bits_stored=12
    )
    assert [(m.laterality, m.view, m.bits_stored) for m in source] == [
        ("L", "CC", 12), ("L", "MLO", 12), ("R", "CC", 12), ("R", "MLO", 12), ("L", "CC", 12),
    ]  # fmt: skip
    assert len(set(source.patients())) == 2
