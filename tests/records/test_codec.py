import json
import math
import random
import struct
from dataclasses import FrozenInstanceError

import pytest
from factories import (
    agreement,
    check_result,
    data_set,
    measurement,
    peak,
    placement,
    sanity_run,
    timing_proof,
    training_run,
)

from cnnbench.records.journal import SCHEMA_VERSION, decode, encode
from cnnbench.records.records import Environment

AWKWARD = (0.1 + 0.2, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, -0.0, math.nan, -math.inf)
RECORDS = (
    Environment({"commit": None, "dirty": False, "machine": {"cpu": "ü"}, "gpus": []}),
    data_set(),
    training_run(),
    training_run(unchanged_weights=("a/kernel", "b/bias"), val_probabilities=()),
    sanity_run(),
    measurement(),
    measurement(
        agreement=agreement(),
        timing=timing_proof(),
        placement=placement(),
        copy_seconds=(0.001,),
        telemetry={"watts": 65.0, "throttled": "power"},
    ),
    measurement(out_of_memory=True, round_seconds=(), peak_memory_mb=math.nan),
    peak(),
    peak(convolution_flops_per_second=None),
    check_result(),
    check_result(seed=3, batch_size=None),
)


def same(one, other):
    """Compare bit by bit: repr tells NaN, -0.0 and tuples from their likes, and == does not."""
    return repr(one) == repr(other)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_decode_gives_back_what_was_encoded(record):
    assert same(decode(encode(record)), record)


def test_every_float_is_kept():
    rng = random.Random(0)
    bits = (struct.unpack("<d", rng.randbytes(8))[0] for _ in range(1000))
    record = measurement(round_seconds=(*AWKWARD, *bits), peak_memory_mb=math.nan)
    assert same(decode(encode(record)), record)


@pytest.mark.parametrize(
    "name", ["a,b", 'q"uote', "line\nbreak\r\u2028", "Häßlich 猫 🐈", "\udcff"]
)
def test_every_name_is_kept_on_one_line(name):
    record = data_set(classes=(name, "dogs"), validation_names=(name,) * 4)
    assert same(decode(encode(record)), record)
    assert len(encode(record).splitlines()) == 1


def test_what_is_encoded_says_what_it_is():
    data = json.loads(encode(sanity_run()))
    assert (data["record"], data["schema"]) == ("SanityRun", SCHEMA_VERSION)


@pytest.mark.parametrize(
    "line", ["", "{", "null", "[1, 2]", '"text"', '{"record": "TrainingRun"}', "x" * 10_000]
)
def test_other_lines_are_no_records(line):
    with pytest.raises(ValueError, match=r"^Not a record\. Received: line=.{,90}$"):
        decode(line)


@pytest.mark.parametrize("name", ["Trial", None, ["TrainingRun"]])
def test_unknown_records_list_the_valid_ones(name):
    line = json.dumps({"record": name, "schema": SCHEMA_VERSION})
    with pytest.raises(ValueError, match=r"\(Environment, DataSet, .*Received: record="):
        decode(line)


@pytest.mark.parametrize(
    "schema", [SCHEMA_VERSION - 1, SCHEMA_VERSION + 1, str(SCHEMA_VERSION), None]
)
def test_other_schema_versions_are_refused(schema):
    line = json.dumps({**json.loads(encode(sanity_run())), "schema": schema})
    message = (
        rf"record of schema {SCHEMA_VERSION} .*version of cnnbench that wrote it.*schema={schema!r}"
    )
    with pytest.raises(ValueError, match=message):
        decode(line)


@pytest.mark.parametrize("part", [(), ("row",), ("timing",)])
def test_missing_and_unknown_fields_are_named(part):
    data = json.loads(encode(measurement(timing=timing_proof())))
    changed = data[part[0]] if part else data
    del changed[next(name for name in changed if name not in ("record", "schema"))]
    changed["zebra"] = 1
    with pytest.raises(ValueError, match=r"^Missing or unknown fields: \w+, zebra\. Received: rec"):
        decode(json.dumps(data))


def test_records_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        training_run().seed = 1


def test_images_per_second_are_of_the_median_round():
    # Rounds of 2 steps of 32 pictures: 1, 2 and 9 s.
    assert measurement(round_seconds=(1.0, 9.0, 2.0)).images_per_second == 32.0
    assert measurement(round_seconds=()).images_per_second == 0.0


def test_the_gap_is_train_less_held_out_accuracy():
    assert training_run(train_accuracy=0.875, val_accuracy=0.75).generalization_gap == 0.125


def test_the_summary_of_the_pictures_has_counts_and_no_names():
    summary = data_set().summary()
    assert summary == {
        "name": "pets",
        "content_hash": "c0ffee",
        "classes": ["cats", "dogs"],
        "input_shape": [64, 64, 3],
        "train_pictures": 8,
        "train_labels_per_class": [4, 4],
        "validation_pictures": 4,
    }
