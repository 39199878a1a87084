"""Where a report goes."""

import re
from datetime import UTC, datetime

import pytest

from cnnbench.report.folder import new_report_folder


def test_a_report_is_named_by_time_and_commit(tmp_path):
    before = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    made = new_report_folder(tmp_path / "a" / "b", "abc1234567", prefix="ab-")
    stamp, commit = made.name.removeprefix("ab-").split("_")
    assert made.parent == tmp_path / "a" / "b"
    assert made.is_dir()
    assert commit == "abc1234567"
    assert before <= stamp <= f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def test_reports_of_the_same_second_get_folders_of_their_own(tmp_path):
    names = [new_report_folder(tmp_path, None).name for _ in range(20)]
    assert len(set(names)) == 20
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
