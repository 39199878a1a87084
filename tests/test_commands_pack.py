"""`cnnbench pack`, and `cnnbench show` of what it wrote."""

import pytest
from factories import measurement

from cnnbench.cli import main
from cnnbench.packing import Names, names_here
from cnnbench.records import Environment
from cnnbench.report.frames import load_report, report_of, write_report


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


def test_out_and_names(report, tmp_path, capsys):
    out = tmp_path / "mine.zip"
    (report / "notes.txt").touch()
    assert main(["pack", str(report), "--out", str(out), "--with-names"]) == 0
    assert load_report(out).environment["names"]["host"] == names_here().host
    assert "left out, not a file of a report: notes.txt" in capsys.readouterr().out


def test_a_name_that_is_not_searched_for_is_told(report, capsys, monkeypatch):
    monkeypatch.setattr("cnnbench.packing.names_here", lambda: Names("anvil", "root", "/root"))
    assert main(["pack", str(report)]) == 0
    assert "not searched for, since it names nobody: user 'root'" in capsys.readouterr().out


def test_a_name_in_the_report_is_bad_input(report, capsys, monkeypatch):
    monkeypatch.setattr("cnnbench.packing.names_here", lambda: Names("f00d", "robin", "/home/r"))
    assert main(["pack", str(report)]) == 2
    assert "throughput.csv, line 2: host name 'f00d'" in capsys.readouterr().err
    assert not report.with_name("run.zip").exists()
