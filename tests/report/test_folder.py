import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cnnbench.report import folder
from cnnbench.report.folder import new_report_folder


class Noon:
    """Stands in for `datetime`: it is always noon, UTC."""

    @staticmethod
    def now(zone):
        assert zone is UTC
        return datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)


@pytest.fixture
def noon(monkeypatch):
    monkeypatch.setattr(folder, "datetime", Noon)


@pytest.mark.usefixtures("noon")
def test_a_report_is_named_by_time_and_commit(tmp_path):
    made = new_report_folder(tmp_path, "abc1234567")
    assert made == tmp_path / "20260301T120005Z_abc1234567"
    assert made.is_dir()


@pytest.mark.usefixtures("noon")
def test_a_report_without_a_commit_says_so(tmp_path):
    assert new_report_folder(tmp_path, None).name == "20260301T120005Z_nocommit"


@pytest.mark.usefixtures("noon")
def test_reports_of_the_same_second_get_folders_of_their_own(tmp_path):
    names = [new_report_folder(tmp_path, "abc").name for _ in range(3)]
    assert names == [f"20260301T120005Z_abc{end}" for end in ("", "-2", "-3")]


def test_the_time_is_now_in_utc(tmp_path):
    before = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    stamp = new_report_folder(tmp_path, None).name.split("_")[0]
    assert before <= stamp <= datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def test_folders_above_are_made(tmp_path):
    parent = tmp_path / "a" / "b"
    assert new_report_folder(parent, None).parent == parent


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    parent = tmp_path / "file" / "reports"
    (tmp_path / "file").touch()
    message = (
        r"Can't write reports there: Not a directory\. .*--cnnbench-report-dir\. "
        + re.escape(f"Received: report_dir='{parent}'")
    )
    with pytest.raises(OSError, match=message):
        new_report_folder(parent, None)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    parent = tmp_path / "reports"
    parent.touch()
    with pytest.raises(OSError, match="Can't write reports there: File exists"):
        new_report_folder(parent, None)


def test_it_gives_up_when_no_name_is_free(tmp_path, monkeypatch):
    def taken(path, parents=False, exist_ok=False):
        if not exist_ok:
            raise FileExistsError

    monkeypatch.setattr(Path, "mkdir", taken)
    message = re.escape(f"No free name for a report. Received: report_dir='{tmp_path}'")
    with pytest.raises(OSError, match=message):
        new_report_folder(tmp_path, "abc")
