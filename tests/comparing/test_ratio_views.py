"""Ratios as DataFrames, as text and as pictures."""

import sys
from xml.etree import ElementTree

import pytest
from factories import measurement, processes
from speeds import STEADY, compared, slower, speed

from cnnbench.comparing.ratio_views import RATIO_COLUMNS, compare_speeds, draw_ratios, ratio_text
from cnnbench.comparing.ratios import compare_all, judge_speeds
from cnnbench.comparing.speeds import ReportSpeeds
from cnnbench.report.frames import report_of, write_report
from cnnbench.verdicts.gates.ratio import RatioRule

OOM = ("out of memory",)
STEADY_REPORT = report_of(processes(1.0, 1.01, 0.99))
SLOW_REPORT = report_of(processes(2.0, 2.01, 1.99))


def test_reports_are_compared_in_one_call():
    frame = compare_speeds(STEADY_REPORT, SLOW_REPORT)
    row, mean = frame.to_dict("records")
    assert (row["first_report"], row["later_report"]) == ("report 1", "report 2")
    assert (row["variant"], row["batch_size"]) == ("documented", "32")
    assert row["ratio"] == pytest.approx(0.5, rel=0.01)
    assert row["low"] < row["ratio"] < row["high"]
    assert (row["basis"], row["first_processes"], row["later_processes"]) == ("processes", 3, 3)
    assert (mean["variant"], mean["ratio"]) == ("geometric mean of 1", row["ratio"])
    judged = {"verdict", "p_slower", "p_margin", "reason"}
    assert list(frame) == [name for name in RATIO_COLUMNS if name not in judged]


def test_a_gate_gives_every_row_a_verdict():
    frame = compare_speeds(STEADY_REPORT, SLOW_REPORT, SLOW_REPORT, fail_on=0.05)
    assert list(frame) == list(RATIO_COLUMNS)
    assert frame["later_report"].tolist() == ["report 2"] * 2 + ["report 3"] * 2
    assert frame["verdict"].tolist() == ["fail", ""] * 2
    assert frame["reason"][0] == "slower, by the margin or more"
    assert frame["p_slower"][0] < 0.01 < 0.9 < frame["p_margin"][0]


def test_one_report_is_compared_within():
    one = report_of([measurement(), measurement(backend="torch")])
    assert compare_speeds(one, across=("backend",))["backend"][0] == "tensorflow → torch"
    rows = ReportSpeeds("A", (speed(0.1, concerns="Busy."), speed(0.1, backend="torch")))
    text = ratio_text(compare_all([rows], ("backend",)))
    assert text.startswith("Speed within A")
    assert text.count("1 of 2 rows are doubtful") == 1


def test_folders_are_read(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_report(report_of([measurement()]), tmp_path / name)
    frame = compare_speeds(tmp_path / "a", str(tmp_path / "b"))
    assert frame["ratio"].tolist() == [1, 1]
    assert (frame["first_report"][0], frame["later_report"][0]) == ("a", "b")
    assert frame["basis"].tolist() == ["rounds", "rounds"]


def test_a_row_out_of_memory_has_no_ratio_and_says_what_else_differs():
    later = measurement(out_of_memory=True, round_seconds=(), threads=1, data_hash="beef")
    frame = compare_speeds(STEADY_REPORT, report_of([later]))
    assert frame["differs"].tolist() == ["threads: 2 and 1; data_hash: ? and beef"]
    assert frame["problems"].tolist() == ["out of memory (later)"]
    assert frame[["ratio", "later"]].isna().all(axis=None)
    assert frame["basis"].tolist() == ["none"]


# Text


def text_of(*pairs, rule=None):
    comparisons = [compared(*pairs)]
    return ratio_text(comparisons, judge_speeds(comparisons, rule) if rule else None)


def test_text_has_ratio_interval_and_both_speeds():
    text = text_of((speed(*STEADY), slower(1.0)))
    title, _, head, row, mean, *_ = text.splitlines()
    assert title == "Speed of B relative to A"
    assert " ".join(head.split()[5:]) == "batch_size first img/s later img/s ratio 95 % interval"
    assert row.split()[6:] == ["100", "50.0", "0.500", "0.496", "to", "0.504"]
    assert mean.startswith("geometric mean of 1 ")
    assert head.index("ratio") == row.index("0.500") == mean.index("0.500")
    assert "`cnnbench ab` compares side by side" in text


def test_rounds_of_one_process_are_labelled():
    text = text_of((speed(0.01), speed(0.02)))
    assert text.count("*") == 3  # both rows and the note
    assert "* from one process: rounds are not independent" in text


def test_what_is_not_compared_is_named():
    first = ReportSpeeds("A", (speed(*STEADY), speed(0.1, batch_size=64)), {"python": "3.11"})
    later = ReportSpeeds("B", (speed(*STEADY), speed(0.1, backend="jax")), {"python": "3.12"})
    text = ratio_text(compare_all([first, later]))
    assert "not compared: documented inference tensorflow cpu float32 batch 64: no such row" in text
    assert "only in B: documented inference jax cpu float32 batch 32" in text
    assert "differs, first and later: python: 3.11 and 3.12" in text
    assert "no row in common" in text_of((speed(0.1), speed(0.1, dtype="int8")))


def test_concerns_are_named_once_per_report():
    busy = speed(0.01, concerns="Other processes used 76% of the CPUs.")
    text = text_of((busy, speed(0.01)), (speed(0.01, batch_size=8),) * 2)
    assert "A: 1 of 2 rows are doubtful, for example: Other processes used 76%" in text
    assert "B: " not in text


def test_problems_and_differing_conditions_are_notes():
    other = {"batch_size": 64, "conditions": {"threads": "4"}}
    text = text_of(
        (speed(*STEADY), speed(problems=OOM)),
        (speed(*STEADY, batch_size=64), slower(-0.9, problems=("wrong answers",), **other)),
        rule=RatioRule(0.05),
    )
    oom, wrong = (" ".join(line.split()) for line in text.splitlines()[3:5])
    assert oom.endswith("32 100 - - unknown fail out of memory (later)")
    assert wrong.endswith("fail wrong answers (later); threads: 2 and 4")
    assert "FAIL: 0 of 2 compared pass, 2 fail, 0 inconclusive" in text
    assert "geometric mean" not in text


def test_a_gate_states_its_error_rates_and_reasons():
    text = text_of(
        (speed(*STEADY), slower(1.0)),
        *((speed(0.01, batch_size=n),) * 2 for n in (64, 128)),
        (speed(0.1, batch_size=8), speed(0.1, batch_size=16)),
        rule=RatioRule(0.05),
    )
    assert "FAIL: 0 of 3 compared pass, 1 fail, 2 inconclusive." in text
    assert "5.0% more time" in text
    assert "alpha 0.01 for all rows together, Holm" in text
    assert "fail: slower, by the margin or more (documented inference tensorflow cpu" in text
    assert "batch 64 and 1 more)" in text
    assert "Not compared: 1 of the first report; the gate can't pass" in text


# Pictures

PAIR = speed(0.01, workload="train"), speed(0.001, workload="train")
BAD = speed(0.01, batch_size=64), speed(batch_size=64, problems=OOM)


def test_an_svg_names_rows_and_reports_and_is_the_same_each_time(tmp_path):
    pytest.importorskip("matplotlib")
    before = set(sys.modules)
    for name in ("x.svg", "y.svg"):
        draw_ratios([compared((speed(*STEADY), slower(1.0)), PAIR, BAD)], tmp_path / name)
    text = (tmp_path / "x.svg").read_text()
    assert text == (tmp_path / "y.svg").read_text()
    ElementTree.fromstring(text)
    for shown in ("inference", "train", "geometric mean", "B", "0.500", "10.0"):
        assert f"<!-- {shown} -->" in text
    assert "relative to A" in text
    assert "hollow: rounds of one process only" in text
    assert "not shown: 1 out of memory" in text
    # It would look for a screen.
    assert "matplotlib.pyplot" not in set(sys.modules) - before


def test_an_interval_from_next_to_nothing_runs_out_of_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    one = compared((speed(0.001, 0.1), speed(0.001, 0.1)))
    for name in ("x.svg", "x.png"):
        draw_ratios([one, one], tmp_path / name)
    assert "<!-- 0.75 -->" in (tmp_path / "x.svg").read_text()
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ValueError, match=r"install '\.\[pictures\]'"):
        draw_ratios([compared(PAIR)], tmp_path / "x.png")


@pytest.mark.parametrize(
    ("name", "pair", "message"),
    [
        ("x.pdf", PAIR, "expected a .png or .svg file. Received: "),
        ("x.png", BAD, "1 to 200 ratios. Received: 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, name, pair, message):
    with pytest.raises(ValueError, match=message):
        draw_ratios([compared(pair)], tmp_path / name)
