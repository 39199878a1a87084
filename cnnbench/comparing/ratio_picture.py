"""Ratios of speed as a picture: a dot and its interval per row, on a log axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnnbench.comparing.ratio_tables import MEAN, key_of, number
from cnnbench.comparing.ratios import Ratio, SpeedComparison

COLOURS = ("#1f5fa8", "#c8641c", "#3a8048", "#8a3f94", "#767676", "#a8912c")
MOST_DOTS = 200  # a taller picture is none
# Label, number of the comparison and ratio.
Dot = tuple[str, int, Ratio]


def draw_ratios(comparisons: Sequence[SpeedComparison], path: Path) -> None:
    """Draws the ratios of comparisons with one first report, each in a colour of its own.

    A filled dot's interval rests on processes, a hollow one's on rounds of one process. Rows with a
    problem (out of memory, wrong answers) are left out and counted.
    """
    if path.suffix not in (".png", ".svg"):
        raise ValueError(f"--picture: expected a .png or .svg file. Received: file={str(path)!r}")
    dots = _dots(comparisons)
    if not 0 < len(dots) <= MOST_DOTS:
        raise ValueError(f"--picture: expected 1 to {MOST_DOTS} ratios. Received: {len(dots)}")
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ValueError(
            "Pictures are drawn by Matplotlib, which is not installed. In cnnbench's clone, "
            "install it with pip install '.[pictures]'."
        ) from error
    # No pyplot: it would look for a screen and keep the figure.
    with rc_context({"font.size": 9, "svg.hashsalt": "cnnbench"}):
        height = 0.15 * len(dots) + 0.15 * len({label for label, _, _ in dots}) + 1.6
        figure = Figure(figsize=(8, height), layout="constrained")
        _draw(figure.subplots(), comparisons, dots)
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, dpi=150, metadata=metadata, facecolor="white")


def _dots(comparisons: Sequence[SpeedComparison]) -> list[Dot]:
    """Returns the dots by comparison, means last."""
    kept = [(at, match) for at, one in enumerate(comparisons) for match in one.matches]
    keys = [key_of(match) for _, match in kept if match.usable]
    varying = [name for name in (keys or [{}])[0] if len({key[name] for key in keys}) > 1]
    dots = [
        (", ".join(key_of(match)[name] for name in varying or ["variant"]), at, match.usable)
        for at, match in kept
        if match.usable
    ]
    return dots + [(MEAN, at, one.mean) for at, one in enumerate(comparisons) if one.mean]


def _draw(axis: Any, comparisons: Sequence[SpeedComparison], dots: Sequence[Dot]) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    labels = {label: place for place, label in enumerate(dict.fromkeys(dot[0] for dot in dots))}
    values = [1.0, *(ratio.value for _, _, ratio in dots)]
    # An interval from next to nothing would hide all the others: it runs out of the picture.
    low, high = min(values) / 1.5, max(values) * 1.5
    seen = set()
    for label, at, ratio in dots:
        place = labels[label] + 0.6 * ((at + 0.5) / len(comparisons) - 0.5)
        colour, interval = COLOURS[at % len(COLOURS)], ratio.interval
        ends = [[ratio.value - max(interval.low, low)], [min(interval.high, high) - ratio.value]]
        axis.errorbar(
            ratio.value,
            place,
            xerr=None if ratio.basis == "none" else ends,
            fmt="o",
            color=colour,
            mfc=colour if ratio.basis == "processes" else "white",
            label=None if at in seen else comparisons[at].later.label,
        )
        seen.add(at)
        where = {"xycoords": ("axes fraction", "data"), "va": "center", "color": colour}
        axis.annotate(number(ratio.value), (1.01, place), **where)
    axis.axvline(1, color="#333333", lw=1, zorder=1)
    axis.grid(axis="x", color="#dddddd", lw=0.6)
    axis.set_yticks(list(labels.values()), list(labels))
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.margins(x=0.02)
    # Ticks that people read: 0.5, 1, 2 and not powers of ten.
    is_wide = max(values) > 3 * min(values)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if is_wide else MaxNLocator(6))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    text = f"speed relative to {comparisons[0].first.label}: ratio and 95 % interval, log axis"
    if any(ratio.basis != "processes" for _, _, ratio in dots):
        text += "\nhollow: rounds of one process only"
    left_out = sum(len(one.matches) - len(one.usable) for one in comparisons)
    if left_out:
        text += f"\nnot shown: {left_out} out of memory or with wrong answers"
    axis.set_xlabel(text)
    axis.figure.legend(loc="outside upper left", frameon=False, ncols=3)
