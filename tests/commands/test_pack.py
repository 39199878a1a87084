"""`cnnbench pack`, and `cnnbench show` of what it wrote."""

import pytest
from factories import measurement

from cnnbench.cli import main
from cnnbench.report.frames import report_of, write_report


@pytest.fixture
def report(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    write_report(report_of([measurement()]), folder)
    return folder


def test_a_pack_lies_beside_the_report_and_is_shown_as_the_report_is(report, capsys):
    assert main(["pack", str(report)]) == 0
    out = report.with_name("run.zip")
    assert f"pack: {out} (" in capsys.readouterr().out
    shown = []
    for path in (report, out):
        assert main(["show", str(path)]) == 0
        shown.append(capsys.readouterr().out.replace(str(path), ""))
    assert shown[0] == shown[1]
    assert "documented" in shown[0]


def test_an_existing_file_is_replaced_when_asked(report, tmp_path, capsys):
    arguments = ["pack", str(report), "--out", str(tmp_path / "mine.zip")]
    assert main(arguments) == 0
    assert main(arguments) == 2
    assert "--replace" in capsys.readouterr().err
    assert main([*arguments, "--replace"]) == 0


def test_the_newest_report_is_shown(tmp_path, capsys):
    for name in ("20260102T000000Z_b", "20260101T000000Z_a", "20260103T000000Z_empty"):
        (tmp_path / name).mkdir()
    for name in ("20260102T000000Z_b", "20260101T000000Z_a"):
        (tmp_path / name / "journal.jsonl").touch()
    assert main(["show", "--report-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith(f"report: {tmp_path / '20260102T000000Z_b'}\n")
