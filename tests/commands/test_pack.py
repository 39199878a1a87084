"""`cnnbench pack`, and `cnnbench show` of what it wrote."""

import pytest
from factories import measurement

from cnnbench.cli import main
from cnnbench.records.runs import Environment
from cnnbench.report.frames import report_of, write_report


@pytest.fixture
def report(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    write_report(report_of([Environment({}), measurement()]), folder)
    return folder


def test_a_pack_lies_beside_the_report(report, capsys):
    assert main(["pack", str(report)]) == 0
    out = report.with_name("run.zip")
    assert out.is_file()
    assert f"pack: {out} (" in capsys.readouterr().out


def test_a_pack_is_shown_as_the_report_is(report, capsys):
    main(["pack", str(report)])
    shown = []
    for path in (report, report.with_name("run.zip")):
        capsys.readouterr()
        assert main(["show", str(path)]) == 0
        shown.append(capsys.readouterr().out.replace(str(path), ""))
    assert shown[0] == shown[1]
    assert "documented" in shown[0]


def test_a_file_that_is_there_is_replaced_when_asked(report, tmp_path, capsys):
    out = tmp_path / "mine.zip"
    assert main(["pack", str(report), "--out", str(out)]) == 0
    assert main(["pack", str(report), "--out", str(out)]) == 2
    assert "--replace" in capsys.readouterr().err
    assert main(["pack", str(report), "--out", str(out), "--replace"]) == 0
