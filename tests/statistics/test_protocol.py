import dataclasses
import hashlib
import json

import pandas as pd
import pytest
from prediction_tables import predictions_table, transfer_losses

from mammo_jax.files import write_json
from mammo_jax.statistics.analysis_levels import AnalysisLevels
from mammo_jax.statistics.evaluation import evaluate
from mammo_jax.statistics.operating_point import OperatingPoint
from mammo_jax.statistics.protocol import (
    NAMES,
    Protocol,
    ProtocolError,
    differences,
    differences_text,
    new_protocol,
    read_protocol,
    sha256_of_test_set,
    used_protocol,
)
from mammo_jax.statistics.rule import Rule

OTHERS = {
    "margin": 0.1,
    "alpha": 0.05,
    "min_positive_patients": 30,
    "unit": "patch",
    "analysis_level": "breast",
    "level_score": "mean",
    "sensitivity": 0.8,
    "threshold": 0.5,
    "threshold_from": "validation patients",
    "resamples": 5000,
    "bootstrap_seed": 1,
    "frozen": False,
    "ladder": (15.0,),
    "target": "abnormal",
    "source": "images of a study",
    "source_sha256": "1" * 64,
    "primary_model": "another",
}


@pytest.fixture
def protocol() -> Protocol:
    levels, point = AnalysisLevels("woman", "max"), OperatingPoint()
    fixed = {"ladder": (1, 50, 15), "target": "malignant", "source_sha256": "0" * 64, "primary_model": "mine"}
    fixed |= {"threshold_from": "every resample", "resamples": 100, "bootstrap_seed": 0, "frozen": True}
    return new_protocol(Rule(), levels, point, source="test set", **fixed)


def test_the_hash_is_that_of_the_canonical_json_and_a_file_gives_the_protocol_back(protocol, tmp_path):
    document = protocol.document()
    text = json.dumps(document["protocol"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert document["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert document["protocol"]["ladder"] == [15.0, 50.0]
    write_json(tmp_path / "protocol.json", document)
    assert read_protocol(tmp_path / "protocol.json") == protocol


@pytest.mark.parametrize("name", NAMES)
def test_every_field_counts_and_is_named(protocol, name):
    other = dataclasses.replace(protocol, **{name: OTHERS[name]})
    assert other.sha256 != protocol.sha256
    (found,) = differences(protocol, other)
    assert found["field"] == NAMES[name]
    assert differences(protocol, protocol) == []
    assert f"{found['fixed']}, and here {found['used']}" in differences_text([found])


def test_all_fields_have_a_name():
    assert set(NAMES) == {field.name for field in dataclasses.fields(Protocol)} == set(OTHERS)


def test_a_changed_or_foreign_file_is_refused(protocol, tmp_path):
    path = tmp_path / "protocol.json"
    with pytest.raises(ProtocolError, match="no such file; mammo-jax protocol writes one"):
        read_protocol(path)
    path.write_text("{")
    with pytest.raises(ProtocolError, match="not readable JSON"):
        read_protocol(path)
    document = protocol.document()
    write_json(path, document | {"protocol": document["protocol"] | {"margin": 0.1}})
    with pytest.raises(ProtocolError, match="does not fit its SHA-256, so it was changed after it was written"):
        read_protocol(path)
    write_json(path, document | {"schema": "other"})
    with pytest.raises(ProtocolError, match="field schema is not 'mammo_jax protocol 2'"):
        read_protocol(path)
    write_json(path, document | {"schema": "mammo_jax protocol 1"})
    with pytest.raises(ProtocolError, match="of an older version, which left the bootstrap's seed open"):
        read_protocol(path)
    write_json(path, document | {"protocol": {"margin": 0.1}})
    with pytest.raises(ProtocolError, match="the fields of the protocol are not alpha"):
        read_protocol(path)
    write_json(path, dataclasses.replace(protocol, ladder=()).document() | {"protocol": 3})
    with pytest.raises(ProtocolError, match="the fields of the protocol are not alpha"):
        read_protocol(path)


def test_an_evaluation_that_keeps_to_it_has_no_differences(protocol):
    table = predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.1, 50.0: 0.2}), folds=1, model="mine")
    metrics = evaluate(table, resamples=100, target="malignant", levels=AnalysisLevels("woman", "max"), frozen=True)
    assert differences(protocol, used_protocol(metrics, "test set", "0" * 64)) == []
    other = evaluate(table, resamples=100, frozen=True, point=OperatingPoint(threshold=0.5))
    fields = [item["field"] for item in differences(protocol, used_protocol(other, "test set", "0" * 64))]
    assert fields == ["analysis level", "threshold", "threshold found from", "target"]
    again = evaluate(table, resamples=101, seed=1, target="malignant", levels=AnalysisLevels("woman", "max"))
    named = {item["field"]: item["used"] for item in differences(protocol, used_protocol(again, "test set", "0" * 64))}
    assert named == {"bootstrap resamples": "101", "seed of the bootstrap": "1", "one finished model": "no"}
    compressed = evaluate(table[table["test_ratio"] > 1], resamples=100, target="malignant", frozen=True)
    named = {
        item["field"]: item["used"] for item in differences(protocol, used_protocol(compressed, "test set", "0" * 64))
    }
    assert named == {
        "analysis level": "image",
        "sensitivity of the operating point": "not evaluated",
        "threshold found from": "none",
    }


def test_the_test_set_is_that_of_the_predictions_in_any_order():
    table = predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.1}), folds=1)
    listed = table[["patient_id", "image_id", "label"]].drop_duplicates().astype(str)
    assert sha256_of_test_set(listed.iloc[::-1]) == sha256_of_test_set(table)
    assert sha256_of_test_set(listed.iloc[1:]) != sha256_of_test_set(table)
    flipped = listed.assign(label=["1" if label == "0" else "0" for label in listed["label"]])
    assert sha256_of_test_set(pd.DataFrame(flipped)) != sha256_of_test_set(table)
