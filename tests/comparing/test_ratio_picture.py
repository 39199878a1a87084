"""Pictures of ratios."""

import sys
from xml.etree import ElementTree

import pytest
from speeds import source, speed

from cnnbench.comparing.ratio_picture import draw_ratios
from cnnbench.comparing.ratios import compare_sources


def drawn(path, *pairs, across=()):
    """Draw these rows' ratios and return the texts of the picture."""
    first = source("before", *(pair[0] for pair in pairs))
    later = source("after", *(pair[1] for pair in pairs))
    draw_ratios([compare_sources(first, later, across)], path)
    return path.read_bytes()


@pytest.fixture
def _matplotlib():
    pytest.importorskip("matplotlib")


ROWS = (
    (speed(0.01, 0.0101, 0.0102), speed(0.02, 0.0201, 0.0205)),
    (speed(0.01, workload="train"), speed(0.001, workload="train")),
)


@pytest.mark.usefixtures("_matplotlib")
def test_a_png_is_one(tmp_path):
    assert drawn(tmp_path / "x.png", *ROWS).startswith(b"\x89PNG")


@pytest.mark.usefixtures("_matplotlib")
def test_an_svg_names_workloads_rows_and_reports(tmp_path):
    text = drawn(tmp_path / "x.svg", *ROWS).decode()
    ElementTree.fromstring(text)
    for shown in ("inference", "train", "documented", "geometric mean", "after", "against before"):
        assert f"<!-- {shown} -->" in text
    assert "hollow: rounds of one process only" in text


@pytest.mark.usefixtures("_matplotlib")
def test_a_picture_is_the_same_each_time(tmp_path):
    assert drawn(tmp_path / "x.svg", *ROWS) == drawn(tmp_path / "y.svg", *ROWS)


@pytest.mark.usefixtures("_matplotlib")
def test_rows_with_problems_are_counted_and_not_drawn(tmp_path):
    bad = (speed(0.01, batch_size=64), speed(batch_size=64, problems=("out of memory",)))
    text = drawn(tmp_path / "x.svg", *ROWS, bad).decode()
    assert "not shown: 1 out of memory" in text


@pytest.mark.usefixtures("_matplotlib")
@pytest.mark.parametrize("seconds", [0.01001, 0.009, 0.001, 1e-6, 10.0])
def test_every_range_of_ratios_is_drawn(tmp_path, seconds):
    drawn(tmp_path / "x.png", (speed(0.01, 0.0101), speed(seconds, seconds * 1.01)))


@pytest.mark.usefixtures("_matplotlib")
def test_no_screen_is_asked_for(tmp_path):
    before = set(sys.modules)
    drawn(tmp_path / "x.png", *ROWS)
    assert "matplotlib.pyplot" not in set(sys.modules) - before


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"install '\.\[pictures\]'"):
        drawn(tmp_path / "x.png", *ROWS)


@pytest.mark.parametrize("name", ["x.pdf", "x"])
def test_another_format_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"--picture: expected a .png or .svg file. Received: "):
        drawn(tmp_path / name, *ROWS)


def test_nothing_to_draw_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected 1 to 200 ratios. Received: 0"):
        drawn(tmp_path / "x.png", (speed(0.1), speed(problems=("out of memory",))))
