import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from factories import check_result, data_set, measurement, sanity_run, training_run

from cnnbench.records import journal as journal_module
from cnnbench.records.journal import JOURNAL_NAME, SCHEMA_VERSION, Journal, encode, read_journal
from cnnbench.records.records import Environment

RECORDS = [
    Environment({"commit": "abc"}),
    data_set(name="zwölf,\n"),
    training_run(),
    sanity_run(),
    measurement(),
    check_result(),
]

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


def test_an_appended_record_can_be_read_at_once(path):
    journal = Journal(path)
    for count, record in enumerate(RECORDS, start=1):
        journal.append(record)
        assert read_journal(path) == journal.records == RECORDS[:count]
    journal.close()


def test_append_returns_when_the_line_is_on_disk(path, monkeypatch):
    sizes = []
    monkeypatch.setattr(journal_module.os, "fsync", lambda fd: sizes.append(os.fstat(fd).st_size))
    journal = Journal(path)
    journal.append(RECORDS[0])
    journal.close()
    assert sizes == [len(encode(RECORDS[0])) + 1]


def test_what_is_there_is_kept(path):
    written(path, RECORDS[0])
    assert read_journal(written(path, RECORDS[1])) == RECORDS[:2]


def test_a_torn_last_line_is_left_out_wherever_it_was_torn(path):
    whole = written(path, *RECORDS[:2], sanity_run()).read_bytes()
    for torn in (1, 2, *range(3, len(encode(sanity_run())), 9), len(encode(sanity_run()))):
        path.write_bytes(whole[:-torn])
        assert read_journal(path) == RECORDS[:2]


@pytest.mark.parametrize(
    "line", [b"", b"{", b"\xff\xfe", b"[]", b'{"record": "SanityRun", "schema": 1}', b"\0\0\0"]
)
def test_a_damaged_line_before_the_last_is_named(path, line):
    lines = written(path, *RECORDS[:3]).read_bytes().split(b"\n")
    lines[1] = line
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(ValueError, match=f"Damaged journal {re.escape(str(path))}, line 2: "):
        read_journal(path)


def test_records_of_another_schema_are_no_silent_loss(path):
    text = written(path, RECORDS[0]).read_text()
    path.write_text(text.replace(f'"schema": {SCHEMA_VERSION}', '"schema": 0'))
    with pytest.raises(ValueError, match=r"line 1: Expected a record of schema .*schema=0"):
        read_journal(path)


def test_a_killed_writer_loses_no_record_that_it_had_acknowledged(path):
    search = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
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
    assert writer.returncode == -signal.SIGKILL
    seeds = [record.seed for record in read_journal(path)]
    assert seeds == list(range(len(seeds)))
    assert len(seeds) >= acknowledged
