"""The speed part of `cnnbench compare`."""

import csv

import pytest
from factories import data_set, measurement, training_run
from speeds import source, speed

from cnnbench.cli import main
from cnnbench.report.frames import report_of, write_report
from cnnbench.report.pack import pack

STEADY, SLOW = (0.0100, 0.0101, 0.0099), (0.0200, 0.0201, 0.0199)


def report(folder, *records):
    folder.mkdir()
    write_report(report_of(records), folder)
    return folder


@pytest.fixture
def before(tmp_path):
    return report(tmp_path / "before", measurement())


@pytest.fixture
def after(tmp_path):
    return report(tmp_path / "after", measurement(round_seconds=(2.0, 2.0, 2.1)))


@pytest.fixture
def of_processes(monkeypatch):
    """Reports of three processes: tables of one file, by its name."""
    rows = {"before": STEADY, "after": SLOW, "same": STEADY}
    monkeypatch.setattr(
        "cnnbench.comparing.read_reports.read_speeds",
        lambda path: source(path.stem, speed(*rows[path.stem])),
    )


def compared(capsys, *arguments, code=0):
    assert main(["compare", *map(str, arguments)]) == code
    return capsys.readouterr().out


def refused(capsys, *arguments):
    assert main(["compare", *map(str, arguments)]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    return found.err


def test_speed_is_compared_where_reports_have_it(before, after, capsys):
    text = compared(capsys, before, after)
    assert "Speed of after relative to before" in text
    assert "0.500" in text
    assert "Answers are not compared. The reports have no variant in common" in text


def test_both_parts_are_printed(tmp_path, capsys):
    both = [report(tmp_path / name, data_set(), training_run(), training_run(seed=1), measurement())
            for name in ("a", "b")]  # fmt: skip
    text = compared(capsys, *both, "--csv", tmp_path / "x.csv")
    assert text.index("Speed of b relative to a") < text.index("2. Is the recipe better")
    assert "ratio" in (tmp_path / "x.csv").read_text()
    assert "question" in (tmp_path / "x-answers.csv").read_text()
    assert "recipe" not in compared(capsys, *both, "--only", "speed")
    assert "Speed" not in compared(capsys, *both, "--only", "answers")


def test_a_pack_is_a_report(before, after, capsys):
    pack(after, after.with_name("x.zip"))
    assert "Speed of x relative to before" in compared(capsys, before, after.with_name("x.zip"))


def test_reports_of_one_name_are_told_apart(before, tmp_path, capsys):
    (tmp_path / "more").mkdir()
    again = report(tmp_path / "more" / "before", measurement())
    assert "Speed of before (2) relative to before (1)" in compared(capsys, before, again)


def test_variants_choose_rows(tmp_path, capsys):
    both = [report(tmp_path / name, measurement(), measurement(variant="wide"))
            for name in "ab"]  # fmt: skip
    text = compared(capsys, *both, "--variants", "wide", "--only", "speed")
    assert "wide" in text
    assert "documented" not in text


def test_across_within_one_report(tmp_path, capsys):
    one = report(tmp_path / "a", measurement(), measurement(backend="jax"))
    text = compared(capsys, one, "--across", "backend")
    assert "Speed within a" in text
    assert "jax → tensorflow" in text


def test_across_reports(before, tmp_path, capsys):
    gpu = report(tmp_path / "gpu", measurement(device="gpu"))
    assert "no row in common" in compared(capsys, before, gpu)
    assert "cpu → gpu" in compared(capsys, before, gpu, "--across", "device, dtype")


def test_files_are_written(before, after, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    files = [tmp_path / name for name in ("x.csv", "x.md", "x.svg")]
    options = zip(("--csv", "--markdown", "--picture"), files, strict=True)
    text = compared(capsys, before, after, *(each for pair in options for each in pair))
    for word, file in zip(("table", "markdown", "picture"), files, strict=True):
        assert f"{word}: {file}" in text
    with files[0].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["ratio"]) == pytest.approx(0.5)
    assert files[1].read_text().startswith("### Speed of after relative to before")


# Gate


@pytest.mark.usefixtures("of_processes")
@pytest.mark.parametrize(("later", "code", "word"), [("after", 1, "FAIL"), ("same", 0, "PASS")])
def test_the_gate_has_an_exit_code(capsys, later, code, word):
    options = "--only", "speed", "--fail-on", "5%"
    text = compared(capsys, "before", later, *options, code=code)
    assert f"{word}: of 1 rows" in text


def test_one_process_is_inconclusive(before, after, capsys):
    text = compared(capsys, before, after, "--fail-on", "5%", code=10)
    assert "INCONCLUSIVE: of 1 rows" in text
    assert "--cnnbench-processes=3" in text
    assert "can differ for that reason alone" in text


@pytest.mark.usefixtures("of_processes")
def test_a_stricter_alpha_is_used(capsys):
    options = "--only", "speed", "--fail-on", "5%", "--alpha", "0.0000001"
    assert "alpha 1e-07" in compared(capsys, "before", "after", *options, code=10)


def test_missing_rows_may_be_allowed(tmp_path, capsys, monkeypatch):
    rows = {"a": (speed(*STEADY), speed(*STEADY, batch_size=64)), "b": (speed(*STEADY),)}
    monkeypatch.setattr(
        "cnnbench.comparing.read_reports.read_speeds",
        lambda path: source(path.stem, *rows[path.stem]),
    )
    options = "a", "b", "--only", "speed", "--fail-on", "5%"
    assert "can't pass without --allow-missing" in compared(capsys, *options, code=10)
    assert "PASS" in compared(capsys, *options, "--allow-missing")


# Bad input


def test_flags_of_speed_are_not_for_answers(before, after, capsys):
    message = refused(capsys, before, after, "--only", "answers", "--fail-on", "5%")
    assert "--only answers: these flags need the speed part. Received: --fail-on" in message


@pytest.mark.parametrize("alpha", ["0.0", "0.5", "nan"])
def test_an_alpha_out_of_range_is_refused(before, after, capsys, alpha):
    message = refused(capsys, before, after, "--fail-on", "5%", "--alpha", alpha)
    assert "--alpha: expected a probability above 0 and below 0.5. Received: " in message


def test_a_margin_that_is_none_is_refused(before, after, capsys):
    assert "--fail-on: expected a share" in refused(capsys, before, after, "--fail-on", "fast")


def test_speed_that_was_asked_for_must_be_there(before, tmp_path, capsys):
    empty = report(tmp_path / "empty")
    assert "No throughput was measured" in refused(capsys, before, empty, "--only", "speed")


def test_a_missing_extra_is_one_line(before, after, capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    message = refused(capsys, before, after, "--picture", tmp_path / "x.png")
    assert "install '.[pictures]'" in message
