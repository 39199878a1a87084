"""Ratios as DataFrames, Markdown and text."""

import math

import pytest
from factories import measurement
from speeds import source, speed, speed_report

from cnnbench.comparing.ratio_frame import compare_all, compare_speeds, frame_of, judge_all
from cnnbench.comparing.ratio_text import ANOTHER_TIME, number, text_of
from cnnbench.report.frames import report_of, write_report
from cnnbench.verdicts.gates.ratio import RatioRule

STEADY = (0.0100, 0.0101, 0.0099)
SLOW = (0.0200, 0.0201, 0.0199)
OOM = ("out of memory",)


def report(seconds, **changes):
    rows = ({"process": n, "steps": (each,) * 3, **changes} for n, each in enumerate(seconds))
    return speed_report(*rows)


# Frames


def test_reports_are_compared_in_one_call():
    frame = compare_speeds(report(STEADY), report(SLOW))
    row, mean = frame.to_dict("records")
    assert (row["first_report"], row["later_report"]) == ("report 1", "report 2")
    assert row["ratio"] == pytest.approx(0.5, rel=0.01)
    assert row["low"] < row["ratio"] < row["high"]
    assert (row["basis"], row["first_processes"], row["later_processes"]) == ("processes", 3, 3)
    assert (mean["variant"], mean["ratio"]) == ("geometric mean of 1", row["ratio"])
    assert "verdict" not in frame


def test_a_gate_gives_every_row_a_verdict():
    frame = compare_speeds(report(STEADY), report(SLOW), fail_on=0.05)
    assert frame["verdict"].tolist() == ["fail", ""]
    assert frame["p_slower"][0] < 0.01


def test_the_first_is_compared_with_each_other_report():
    frame = compare_speeds(report(STEADY), report(SLOW), report(STEADY))
    assert frame["later_report"].tolist() == ["report 2"] * 2 + ["report 3"] * 2


def test_one_report_is_compared_within():
    rows = [{"steps": (0.1, 0.1), "backend": name} for name in ("jax", "torch")]
    frame = compare_speeds(speed_report(*rows), across=("backend",))
    assert frame["backend"][0] == "jax → torch"


def test_folders_are_read(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_report(report_of([measurement()]), tmp_path / name)
    frame = compare_speeds(tmp_path / "a", str(tmp_path / "b"))
    assert frame["ratio"].tolist() == [1, 1]
    assert frame["basis"][0] == "rounds"


def test_what_differs_stands_in_the_row():
    frame = compare_speeds(report(STEADY), report(SLOW, threads=1, data_hash="beef"))
    assert "threads: 2 and 1" in frame["differs"][0]
    assert "data_hash" in frame["differs"][0]


def test_a_row_out_of_memory_has_no_ratio():
    frame = frame_of(compare_all([source("A", speed(0.01)), source("B", speed(problems=OOM))]))
    assert frame["problems"].tolist() == ["out of memory (later)"]
    assert frame[["ratio", "low", "high", "later"]].isna().all(axis=None)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_reports_are_refused(count):
    with pytest.raises(ValueError, match=f"Expected two reports.*Received: reports={count}"):
        compare_speeds(*[report(STEADY)] * count)


def test_a_report_without_throughput_is_refused():
    with pytest.raises(ValueError, match=r"No throughput was measured. Received: reports=report 2"):
        compare_speeds(report(STEADY), report_of([]))


def test_the_gate_counts_rows_that_went_missing():
    sources = (
        source("A", speed(*STEADY), speed(*STEADY, batch_size=64)),
        source("B", speed(*STEADY)),
    )
    comparisons = compare_all(sources)
    assert judge_all(comparisons, RatioRule(0.05)).verdict == "inconclusive"
    assert judge_all(comparisons, RatioRule(0.05), allow_missing=True).verdict == "pass"


# Text


def texts(*sources, rule=None, across=()):
    comparisons = compare_all(sources, across)
    outcome = judge_all(comparisons, rule) if rule else None
    return text_of(comparisons, outcome), text_of(comparisons, outcome, markdown=True)


def test_text_has_ratio_interval_and_both_speeds():
    text, _ = texts(source("A", speed(*STEADY)), source("B", speed(*SLOW)))
    assert "Speed of B relative to A" in text
    line = next(line for line in text.splitlines() if line.startswith("documented"))
    assert line.split()[6:12] == ["100", "img/s", "50.0", "img/s", "0.500", "0.486"]
    assert "*" not in line
    assert ANOTHER_TIME in text
    assert "cnnbench ab" in ANOTHER_TIME


def test_rounds_of_one_process_are_labelled():
    text, markdown = texts(source("A", speed(0.01)), source("B", speed(0.02)))
    assert "rounds are not independent" in text
    assert text.count("*") >= 2
    assert "\\* from one process" in markdown


def test_what_is_not_compared_is_named():
    later = source("B", speed(*STEADY), speed(0.1, backend="jax"), python="3.12")
    first = source("A", speed(*STEADY), speed(0.1, batch_size=64), python="3.11")
    text, markdown = texts(first, later)
    for each in (text, markdown):
        assert "not compared: documented inference tensorflow cpu float32 batch 64: only with" in (
            each
        )
        assert "only in B: documented inference jax cpu float32 batch 32" in each
        assert "differs, first and later: python: 3.11 and 3.12" in each


def test_out_of_memory_and_wrong_answers_are_shown():
    first = source("A", speed(*STEADY), speed(*STEADY, batch_size=64))
    later = source(
        "B",
        speed(problems=OOM),
        speed(0.001, 0.001, 0.001, batch_size=64, problems=("wrong answers",)),
    )
    text, _ = texts(first, later, rule=RatioRule(0.05))
    assert "out of memory (later)" in text
    assert "wrong answers (later)" in text
    assert "FAIL: of 2 rows 0 pass, 2 fail" in text
    assert "geometric mean" not in text


def test_nothing_in_common_says_so():
    text, _ = texts(source("A", speed(0.1)), source("B", speed(0.1, dtype="int8")))
    assert "no row in common" in text


def test_a_gate_is_told_with_its_error_rates():
    first = source("A", speed(*STEADY), speed(0.01, batch_size=64), speed(0.1, batch_size=8))
    later = source("B", speed(*SLOW), speed(0.01, batch_size=64))
    text, _ = texts(first, later, rule=RatioRule(0.05))
    assert "FAIL: of 2 rows 0 pass, 1 fail, 1 are inconclusive" in text
    assert "5.0% more time" in text
    assert "alpha 0.01 for all rows together, Holm" in text
    assert "fail: slower, by the margin or more (documented inference" in text
    assert "1 rows of the first report were not compared" in text


def test_markdown_is_a_table():
    _, markdown = texts(source("A", speed(*STEADY, variant="a|b")),
                        source("B", speed(*SLOW, variant="a|b")))  # fmt: skip
    head, rule, row = [line for line in markdown.splitlines() if line.startswith("|")][:3]
    assert head.startswith("| variant | workload |")
    assert set(rule) == set("| -")
    assert "a\\|b" in row
    assert len({line.replace("\\|", "").count("|") for line in (head, rule, row)}) == 1


def test_within_a_report_is_titled_so():
    one = source("A", speed(*STEADY), speed(*SLOW, backend="torch"))
    text = text_of(compare_all([one], ("backend",)))
    assert text.startswith("Speed within A")
    assert "tensorflow → torch" in text


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.5, "0.500"), (12.34, "12.3"), (1234.5, "1234"), (math.inf, "∞")]
)
def test_ratios_have_few_digits(ratio, text):
    assert number(ratio) == text
