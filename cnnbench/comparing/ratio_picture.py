"""Ratios of speed as a picture: a dot and its interval a row, on a log axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnnbench.comparing.ratio_text import MEAN, both, number
from cnnbench.comparing.ratios import Comparison, GeometricMean, Ratio
from cnnbench.comparing.speeds import KEY

FORMATS = (".png", ".svg")
COLOURS = ("#1f5fa8", "#c8641c", "#3a8048", "#8a3f94", "#767676", "#a8912c")
ROW_INCHES = 0.3
CLOSE = 0.6
MOST_ROWS = 200  # a taller picture is none


def draw_ratios(comparisons: Sequence[Comparison], path: Path) -> None:
    """Draws the ratios of all comparisons, grouped by workload.

    A filled dot's interval rests on processes, a hollow one's on rounds of one process. Rows with a
    problem (out of memory, wrong answers) are left out, and counted below.

    Args:
        comparisons: each later report has a colour of its own.
        path: a `.png` or `.svg` file.

    Raises:
        ModuleNotFoundError: without Matplotlib; names the extra that has it.
        ValueError: if the file is neither, or there is nothing or too much to draw.
    """
    if path.suffix not in FORMATS:
        raise ValueError(f"--picture: expected a .png or .svg file. Received: file={str(path)!r}")
    shown = [
        (at, ratio)
        for at, one in enumerate(comparisons)
        for ratio in one.ratios
        if ratio.change is not None and not ratio.problems
    ]
    if not 0 < len(shown) <= MOST_ROWS:
        raise ValueError(f"--picture: expected 1 to {MOST_ROWS} ratios. Received: {len(shown)}")
    _require_matplotlib()
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # No pyplot: it would look for a screen and keep the figure.
    with rc_context({"font.size": 9, "svg.hashsalt": "cnnbench"}):
        figure = Figure(figsize=(8, 1), layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure, comparisons, shown)
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, dpi=150, metadata=metadata, facecolor="white")


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Pictures are drawn by Matplotlib, which is not installed. In cnnbench's clone, "
            "install it with pip install '.[pictures]'."
        ) from error


def _draw(
    figure: Any, comparisons: Sequence[Comparison], shown: Sequence[tuple[int, Ratio]]
) -> None:
    names = _row_names([ratio for _, ratio in shown])
    groups: dict[str, dict[str, list[tuple[int, Ratio]]]] = {}
    for (at, ratio), name in zip(shown, names, strict=True):
        groups.setdefault(ratio.later.workload, {}).setdefault(name, []).append((at, ratio))
    means = [(at, one.mean) for at, one in enumerate(comparisons) if one.mean is not None]
    heights = [
        len(group) + CLOSE * (sum(map(len, group.values())) - len(group))
        for group in groups.values()
    ]
    heights.append(1 + CLOSE * (len(means) - 1))
    figure.set_size_inches(8, ROW_INCHES * sum(heights) + 0.45 * len(heights) + 1.1)
    axes = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, height_ratios=[h + 0.8 for h in heights]
    )[:, 0]
    for axis, (workload, group) in zip(axes, groups.items(), strict=False):
        axis.set_title(workload, loc="left", fontsize=9, fontweight="bold")
        _dots(axis, [(name, at, one) for name, own in group.items() for at, one in own])
    axes[-1].set_title("all rows", loc="left", fontsize=9, fontweight="bold")
    _dots(axes[-1], [(MEAN, at, mean) for at, mean in means])
    _scale(axes[-1], [one for _, one in shown])
    axes[-1].set_xlabel(
        "speed, times that of the first: ratio and 95 % interval, log axis"
        + ("\nhollow: rounds of one process only" if _is_any_hollow(shown) else "")
        + _left_out(comparisons)
    )
    if comparisons[0].first is not comparisons[0].later:
        _legend(figure, comparisons)


def _row_names(ratios: Sequence[Ratio]) -> list[str]:
    """Returns each row's key, without what is the same everywhere."""
    columns = [name for name in KEY if name != "workload"]
    rows = [{name: both(getattr(r.first, name), getattr(r.later, name)) for name in columns}
            for r in ratios]  # fmt: skip
    varying = [name for name in columns if len({row[name] for row in rows}) > 1] or ["variant"]
    return [
        ", ".join(f"batch {row[name]}" if name == "batch_size" else row[name] for name in varying)
        for row in rows
    ]


def _dots(axis: Any, rows: Sequence[tuple[str, int, Ratio | GeometricMean]]) -> None:
    labels: dict[str, float] = {}
    place = -1.0
    for name, at, one in rows:
        place += CLOSE if name in labels else 1.0  # one row's reports are drawn together
        labels.setdefault(name, place)
        colour, interval = COLOURS[at % len(COLOURS)], one.interval()
        if one.basis != "none":
            axis.plot([interval.low, interval.high], [place] * 2, color=colour, lw=1.8, zorder=2)
        fill = colour if one.basis == "processes" else "white"
        axis.plot(one.value, place, "o", ms=5.5, mec=colour, mfc=fill, mew=1.4, zorder=3)
        axis.annotate(
            number(one.value),
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            color=colour,
        )
    axis.set_yticks(list(labels.values()), list(labels))
    axis.set_ylim(place + 0.6, -0.6)
    axis.axvline(1, color="#333333", lw=1, zorder=1)
    axis.grid(axis="x", color="#dddddd", lw=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", which="both", labelbottom=axis.get_subplotspec().is_last_row())
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _scale(axis: Any, ratios: Sequence[Ratio]) -> None:
    """Gives the axis limits and ticks that people read: 0.5, 1, 2 and not powers of ten."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    known = [one.interval() for one in ratios if one.basis != "none"]
    values = [one.value for one in ratios]
    # An interval from next to nothing would hide all the others: it runs out of the picture.
    low = min([*values, *(max(each.low, min(values) / 3) for each in known), 1.0])
    high = max([*values, *(min(each.high, max(values) * 3) for each in known), 1.0])
    room = (high / low) ** 0.04 * 1.01
    low, high = low / room, high * room
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    ticks = [tick for tick in _ticks(low, high) if low <= tick <= high]
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    if high / low > 100:
        return [10.0**n for n in decades]
    if high / low > 3:
        return [round(m * 10.0**n, 10) for n in decades for m in (1, 2, 5)]
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if (high - low) / s <= 9)
    return [round(n * step, 10) for n in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _legend(figure: Any, comparisons: Sequence[Comparison]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[at % len(COLOURS)], marker="o", ms=5.5, label=one.later.label)
        for at, one in enumerate(comparisons)
    ]
    title = f"against {comparisons[0].first.label}"
    figure.legend(
        handles=handles, title=title, loc="outside upper left", frameon=False, ncols=3,
        alignment="left",
    )  # fmt: skip


def _is_any_hollow(shown: Sequence[tuple[int, Ratio]]) -> bool:
    return any(ratio.basis != "processes" for _, ratio in shown)


def _left_out(comparisons: Sequence[Comparison]) -> str:
    count = sum(bool(r.problems or r.change is None) for one in comparisons for r in one.ratios)
    return f"\nnot shown: {count} out of memory or with wrong answers" if count else ""
