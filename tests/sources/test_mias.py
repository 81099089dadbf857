import pickle
from collections import Counter

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from mammo_jax.dataset.folds import check_duplicates, hash_pixels
from mammo_jax.sources import SourceError
from mammo_jax.sources.mias import Mias

HEADER = "image,patient,tissue,abnormality,severity,x,y_from_bottom,row_from_top,radius\n"
ROWS = (
    "mdb001,1,G,CIRC,B,5,,6,3\n"
    "mdb002,1,G,NORM,N,,,,\n"
    "mdb004,2,G,NORM,N,,,,\n"
    "mdb003,2,G,CALC,M,,,,\n"
    "mdb144,72,F,MISC,B,1,,2,2\n"
    "mdb144,72,F,MISC,M,9,,8,1\n"
)


def database(tmp_path, rows=ROWS):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels.csv").write_text(HEADER + rows)
    for number, name in enumerate(dict.fromkeys(row.split(",")[0] for row in rows.splitlines())):
        (tmp_path / "images" / f"{name}.png").write_bytes(imagecodecs.png_encode(np.full((20, 30), number, np.uint8)))
    return tmp_path


def test_a_small_database(tmp_path):
    source = Mias(database(tmp_path))
    assert len(source) == 5
    assert source.patients() == ["001", "001", "002", "002", "072"]
    assert source.labels() == ["benign", "normal", "malignant", "normal", "malignant"]
    first, second, third, _, last = source
    assert (first.image_id, first.patient_id, first.laterality, first.view) == ("mdb001", "001", "R", "MLO")
    assert (first.bits_stored, first.pixel_pitch, first.already_lossy) == (8, 0.2, False)
    assert [(lesion.row, lesion.column, lesion.radius, lesion.label) for lesion in first.lesions] == [
        (6, 5, 3, "benign")
    ]
    assert (second.laterality, second.lesions) == ("L", ())
    assert (third.image_id, third.label, third.lesions) == ("mdb003", "malignant", ())
    assert [lesion.label for lesion in last.lesions] == ["benign", "malignant"]
    assert third.pixels[0, 0] == 3


def test_labels_and_patients_need_no_pixel(tmp_path):
    folder = database(tmp_path)
    (folder / "images" / "mdb001.png").unlink()
    source = Mias(folder)
    assert len(source.patients()) == len(source.labels()) == 5
    with pytest.raises(SourceError, match=r"mdb001\.png: cannot be read"):
        source[0]
    assert source[1].image_id == "mdb002"


def test_it_is_pickled_without_pixels(tmp_path):
    source = Mias(database(tmp_path))
    content = pickle.dumps(source)
    assert len(content) < 3000
    np.testing.assert_array_equal(pickle.loads(content)[2].pixels, source[2].pixels)  # noqa: S301


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("mdb001,1,G,CIRC,X,,,,\n", "field 'severity': 'X' is not one of N, B, M"),
        ("mdb001,1,G,CIRC,,,,,\n", "field 'severity': is empty"),
        ("mdb001,one,G,CIRC,B,,,,\n", "field 'patient': 'one' is not a whole number"),
        ("mdb001,1,G,CIRC,B,,,,\nmdb001,2,G,CIRC,B,,,,\n", "field 'patient': mdb001 belongs to several"),
        ("left,1,G,CIRC,B,,,,\n", "field 'image': 'left' is not an id"),
        ("mdb001,1,G,CIRC,B,5,,6,\n", "field 'radius'"),
        ("mdb001,1,G,CIRC,B,5,,6,0\n", "field 'radius'"),
        ("mdb001,1,G,NORM,N,5,,6,2\n", "field 'severity': a normal image has no lesion"),
        ("mdb001,1,G,CIRC,B,five,,6,2\n", "field 'x': 'five' is not a number"),
    ],
)
def test_bad_labels_name_file_line_and_field(tmp_path, rows, message):
    with pytest.raises(SourceError, match=rf"labels\.csv, line \d, {message}"):
        Mias(database(tmp_path, rows))


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(SourceError, match=r"labels\.csv: cannot be read"):
        Mias(tmp_path)
    (tmp_path / "labels.csv").write_text("image,patient,x,row_from_top,radius\nmdb001,1,,,\n")
    with pytest.raises(SourceError, match="lacks the column severity"):
        Mias(tmp_path)
    (tmp_path / "labels.csv").write_text(HEADER + ROWS)
    with pytest.raises(SourceError, match="images: is missing"):
        Mias(tmp_path)


def test_a_lesion_outside_its_image_is_named(tmp_path):
    source = Mias(database(tmp_path, "mdb001,1,G,CIRC,B,30,,6,3\n"))
    with pytest.raises(SourceError, match="mdb001 has a lesion outside"):
        source[0]


def test_the_table_has_the_ids_of_the_images(tmp_path):
    source = Mias(database(tmp_path))
    assert [row["image_id"] for row in source.table()] == [image.image_id for image in source]
    assert [row["patient_id"] for row in source.table()] == source.patients()


def test_sixteen_bit_files_are_no_mias(tmp_path):
    folder = database(tmp_path)
    (folder / "images" / "mdb001.png").write_bytes(imagecodecs.png_encode(np.zeros((20, 30), np.uint16)))
    with pytest.raises(SourceError, match="mini-MIAS has 8 bits"):
        Mias(folder)[0]


def test_the_real_database(shared_data):
    source = Mias(shared_data / "mini-mias")
    assert Counter(source.labels()) == {"normal": 207, "benign": 63, "malignant": 52}
    assert Counter(Counter(source.patients()).values()) == {2: 161}
    ids, hashes, lesions, placeless = [], [], [], []
    for mammogram in source:
        assert mammogram.pixels.shape == (1024, 1024)
        ids.append(mammogram.image_id)
        hashes.append(hash_pixels(mammogram.pixels))
        lesions += mammogram.lesions
        if mammogram.label != "normal" and not mammogram.lesions:
            placeless.append(mammogram.image_id)
    assert ids == [f"mdb{number:03d}" for number in range(1, 323)]
    assert placeless == ["mdb059", "mdb216", "mdb233", "mdb245"]
    assert Counter(lesion.label for lesion in lesions) == {"benign": 68, "malignant": 51}
    assert check_duplicates(ids, source.patients(), hashes) == []


def test_real_lesions_lie_in_the_breast_and_sides_look_as_they_should(shared_data):
    """All published centres except two are on tissue; a left breast has its chest wall at the left."""
    source = Mias(shared_data / "mini-mias")
    dark, agree = [], 0
    for index in range(100, 250):
        mammogram = source[index]
        pixels = mammogram.pixels
        dark += [mammogram.image_id for lesion in mammogram.lesions if pixels[lesion.filled(pixels.shape)].mean() < 50]
        weight = pixels.sum(axis=0, dtype=float)
        columns = np.flatnonzero((pixels > 40).sum(axis=0) > 100)
        wall = "L" if (weight @ np.arange(len(weight))) / weight.sum() < (columns[0] + columns[-1]) / 2 else "R"
        agree += wall == mammogram.laterality
    assert dark == ["mdb212", "mdb214"]
    assert agree >= 0.9 * 150


def test_the_real_pixels_equal_pillows(shared_data):
    source = Mias(shared_data / "mini-mias")
    with Image.open(shared_data / "mini-mias" / "images" / "mdb010.png") as image:
        np.testing.assert_array_equal(source[9].pixels, np.asarray(image))
