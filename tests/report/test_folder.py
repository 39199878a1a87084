"""Where a report goes, and reports as one file: what is in it, and what is refused."""

import re
import zipfile
from datetime import UTC, datetime

import pandas as pd
import pytest
from factories import measurement, training_run

from cnnbench.records.journal import JOURNAL_NAME, Journal
from cnnbench.report.folder import new_report_folder, pack
from cnnbench.report.frames import load_report, report_of, write_report


def test_a_report_is_named_by_time_and_commit(tmp_path):
    before, made = datetime.now(UTC), new_report_folder(tmp_path / "a", "abc1234", prefix="ab-")
    stamp, commit = made.name.removeprefix("ab-").split("_")
    assert (made.is_dir(), made.parent, commit) == (True, tmp_path / "a", "abc1234")
    assert f"{before:%Y%m%dT%H%M%SZ}" <= stamp <= f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def test_reports_of_the_same_second_get_folders_of_their_own(tmp_path):
    names = {new_report_folder(tmp_path, None).name for _ in range(20)}
    assert len(names) == 20
    assert all(re.fullmatch(r"\d{8}T\d{6}Z_nocommit(-\d+)?", name) for name in names)
    assert any(name.endswith("_nocommit-2") for name in names)


@pytest.mark.parametrize(
    ("parent", "reason"), [("file/reports", "Not a directory"), ("file", "File exists")]
)
def test_a_place_that_cannot_be_written_is_named(tmp_path, parent, reason):
    (tmp_path / "file").touch()
    message = rf"{reason}\. .*--cnnbench-report-dir\. Received: report_dir='{tmp_path / parent}'"
    with pytest.raises(OSError, match=message):
        new_report_folder(tmp_path / parent, None)


# Packs


@pytest.fixture
def report(tmp_path):
    """A report as a session writes it, with its journal."""
    folder = tmp_path / "run"
    folder.mkdir()
    journal = Journal(folder / JOURNAL_NAME)
    for record in (training_run(), measurement()):
        journal.append(record)
    journal.close()
    write_report(report_of(journal.records), folder)
    return folder


@pytest.fixture
def packed(report):
    out = report.with_name("x.zip")
    pack(report, out)
    return out


def test_a_pack_has_a_reports_own_files_and_is_read_as_the_report(report, packed):
    names = {path.name for path in report.iterdir()}
    before = packed.read_bytes()
    (report / "notes.txt").touch()
    for path in report.iterdir():
        path.write_bytes(path.read_bytes())  # another time of writing
    pack(report, packed, replace=True)
    assert packed.read_bytes() == before
    with zipfile.ZipFile(packed) as archive:
        assert set(archive.namelist()) == {*names, "manifest.json"}
    one, other = load_report(report), load_report(packed)
    for name, frame in one.tables().items():
        pd.testing.assert_frame_equal(frame, other.tables()[name], check_exact=True)


def test_a_killed_run_is_packed_by_its_journal(report, tmp_path):
    for path in report.glob("*.csv"):
        path.unlink()
    pack(report, tmp_path / "x.zip")
    assert len(load_report(tmp_path / "x.zip").runs) == 1


def test_what_cannot_be_packed_is_refused(report, packed, tmp_path):
    before = packed.read_bytes()
    with pytest.raises(FileExistsError, match=r"give --replace. Received: out="):
        pack(report, packed)
    assert packed.read_bytes() == before
    with pytest.raises(FileNotFoundError, match=r"No report in this folder.*Received: report="):
        pack(tmp_path, tmp_path / "y.zip")
    assert not (tmp_path / "y.zip").exists()
    with pytest.raises(ValueError, match=r"Expected a .zip file to write. Received: out="):
        pack(report, report.with_name("x.tar"))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("runs.csv", b"x", "not those that were packed"),
        ("runs.csv", None, "not those that were packed"),
        ("manifest.json", None, "manifest.json"),
        ("manifest.json", b"{", "Expecting"),
        ("manifest.json", b'{"schema": 99}', "its schema is 99"),
    ],
)
def test_what_was_not_packed_so_is_refused(packed, name, content, why):
    with zipfile.ZipFile(packed) as archive:
        files = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(packed, "w") as archive:
        for each, old in {**files, name: content}.items():
            if old is not None:
                archive.writestr(each, old)
    with pytest.raises(ValueError, match=rf"`cnnbench pack` wrote: .*{why}.*Received: file="):
        load_report(packed)


@pytest.mark.parametrize("cut", [10, 300, 1000])
def test_a_damaged_file_is_refused(packed, cut):
    packed.write_bytes(packed.read_bytes()[:cut])
    with pytest.raises(ValueError, match="Received: file="):
        load_report(packed)


def test_a_table_that_lacks_a_column_is_named_in_its_pack(report, tmp_path):
    (report / "runs.csv").write_text("variant")
    out = tmp_path / "x.zip"
    pack(report, out)
    with pytest.raises(ValueError, match=f"^{out}/runs.csv lacks the columns seed"):
        load_report(out)
