"""Pictures of ratios."""

import sys
from xml.etree import ElementTree

import pytest
from speeds import STEADY, compared, slower, speed

from cnnbench.comparing.ratio_picture import draw_ratios

PAIRS = (
    (speed(*STEADY), slower(1.0)),
    (speed(0.01, workload="train"), speed(0.001, workload="train")),
)


def test_an_svg_names_rows_and_reports_and_is_the_same_each_time(tmp_path):
    pytest.importorskip("matplotlib")
    bad = (speed(0.01, batch_size=64), speed(batch_size=64, problems=("out of memory",)))
    before = set(sys.modules)
    for name in ("x.svg", "y.svg"):
        draw_ratios([compared(*PAIRS, bad)], tmp_path / name)
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


@pytest.mark.parametrize("seconds", [0.01001, 0.009, 1e-6, 10.0])
def test_every_range_of_ratios_is_drawn(tmp_path, seconds):
    pytest.importorskip("matplotlib")
    one = compared((speed(0.01, 0.0101), speed(seconds, seconds * 1.01)))
    draw_ratios([one, one], tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ValueError, match=r"install '\.\[pictures\]'"):
        draw_ratios([compared(*PAIRS)], tmp_path / "x.png")


@pytest.mark.parametrize(
    ("name", "pair", "message"),
    [
        ("x.pdf", PAIRS[0], "--picture: expected a .png or .svg file. Received: "),
        ("x", PAIRS[0], "--picture: expected a .png or .svg file. Received: "),
        ("x.png", (speed(0.1), speed(problems=("out of memory",))), "1 to 200 ratios. Received: 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, name, pair, message):
    with pytest.raises(ValueError, match=message):
        draw_ratios([compared(pair)], tmp_path / name)
