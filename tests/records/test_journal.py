import json
import math
import os
import random
import re
import signal
import struct
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import factories as make
import pytest

from cnnbench.records import journal as journal_module
from cnnbench.records.journal import JOURNAL_NAME, SCHEMA_VERSION, Journal, encode, read_journal
from cnnbench.records.records import Environment

AWKWARD = (0.1 + 0.2, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, -0.0, math.nan, -math.inf)
RECORDS = (
    Environment({"commit": None, "dirty": False, "machine": {"cpu": "ü"}, "gpus": []}),
    make.data_set(),
    make.training_run(),
    make.training_run(unchanged_weights=("a/kernel", "b/bias"), val_probabilities=()),
    make.sanity_run(),
    make.measurement(),
    make.measurement(
        agreement=make.agreement(),
        timing=make.timing_proof(),
        placement=make.placement(),
        copy_seconds=(0.001,),
        telemetry={"watts": 65.0, "throttled": "power"},
    ),
    make.measurement(out_of_memory=True, round_seconds=(), peak_memory_mb=math.nan),
    make.peak(convolution_flops_per_second=None),
    make.check_result(),
    make.check_result(seed=3, batch_size=None),
)
WRITER = """
import itertools, pathlib, sys
from cnnbench.records.journal import Journal
from factories import training_run

journal = Journal(pathlib.Path(sys.argv[1]))
for seed in itertools.count():
    journal.append(training_run(seed=seed, val_probabilities=((0.1 + 0.2,),) * 500))
    print(seed, flush=True)
"""


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / JOURNAL_NAME


def written(path: Path, *records) -> Path:
    journal = Journal(path)
    for record in records:
        journal.append(record)
    journal.close()
    return path


def exact(records):
    """Every bit of records: repr tells NaN, -0.0 and tuples from their likes, and == does not."""
    return [(type(record), repr(asdict(record))) for record in records]


def test_an_appended_record_can_be_read_at_once(path):
    journal = Journal(path)
    for count, record in enumerate(RECORDS, start=1):
        journal.append(record)
        assert exact(read_journal(path)) == exact(journal.records) == exact(RECORDS[:count])
    journal.close()


def test_every_float_is_kept(path):
    rng = random.Random(0)
    bits = (struct.unpack("<d", rng.randbytes(8))[0] for _ in range(1000))
    record = make.measurement(round_seconds=(*AWKWARD, *bits))
    assert exact(read_journal(written(path, record))) == exact([record])


@pytest.mark.parametrize(
    "name", ["a,b", 'q"uote', "line\nbreak\r\u2028", "Häßlich 猫 🐈", "\udcff"]
)
def test_every_name_is_kept(path, name):
    record = make.data_set(classes=(name, "dogs"), validation_names=(name,) * 4)
    assert read_journal(written(path, record)) == [record]


def test_append_returns_when_the_line_is_on_disk(path, monkeypatch):
    sizes = []
    monkeypatch.setattr(journal_module.os, "fsync", lambda fd: sizes.append(os.fstat(fd).st_size))
    written(path, RECORDS[0])
    assert sizes == [len(encode(RECORDS[0])) + 1]


def test_what_is_there_is_kept(path):
    written(path, RECORDS[0])
    assert read_journal(written(path, RECORDS[1])) == list(RECORDS[:2])


def test_a_torn_last_line_is_left_out_wherever_it_was_torn(path):
    last = make.sanity_run()
    whole = written(path, *RECORDS[:2], last).read_bytes()
    for torn in (1, 2, *range(3, len(encode(last)), 9), len(encode(last))):
        path.write_bytes(whole[:-torn])
        assert read_journal(path) == list(RECORDS[:2])


def changed(one, **changes) -> bytes:
    return json.dumps({**json.loads(encode(one)), **changes}).encode()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"\xff\xfe", ".*utf-8"),
        *((line, "Not a record") for line in (b"", b"{", b"null", b"[1]", b'"text"', b"\0")),
        (b'{"record": "TrainingRun"}', "Not a record"),
        (b"x" * 10_000, r"Not a record\. Received: line=.{,90}$"),
        *(
            (changed(RECORDS[1], record=name), r".*\(Environment, DataSet, .*Received: record=")
            for name in ("Trial", None, ["DataSet"])
        ),
        *(
            (changed(RECORDS[1], schema=schema), rf".* of schema {SCHEMA_VERSION} .*that wrote it")
            for schema in (SCHEMA_VERSION - 1, SCHEMA_VERSION + 1, str(SCHEMA_VERSION), None)
        ),
        (changed(make.sanity_run(), zebra=1), "Missing or unknown fields: zebra. Received: record"),
        (changed(make.measurement(), row={"seed": 1}), "Missing or unknown fields: batch_size, dt"),
    ],
)
def test_a_damaged_line_before_the_last_is_named(path, line, problem):
    lines = written(path, *RECORDS[:3]).read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], line, *lines[2:]]))
    message = f"^Damaged journal {re.escape(str(path))}, line 2: {problem}"
    with pytest.raises(ValueError, match=message):
        read_journal(path)


def test_a_killed_writer_loses_no_record_that_it_had_acknowledged(path):
    search = os.pathsep.join([str(Path(make.__file__).parent), *filter(None, sys.path)])
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": search},
    )
    with writer:
        for _ in range(20):
            assert writer.stdout.readline(), "the writer ended by itself"
        writer.send_signal(signal.SIGKILL)
        acknowledged = 20 + writer.stdout.read().count(b"\n")
    seeds = [record.seed for record in read_journal(path)]
    assert seeds == list(range(len(seeds)))
    assert len(seeds) >= acknowledged
