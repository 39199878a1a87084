"""Ratios of speed in words: for a terminal, and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cnnbench.comparing.ratio_gate import Judged, Outcome
from cnnbench.comparing.ratios import Comparison, GeometricMean, Ratio
from cnnbench.comparing.speeds import KEY, OUT_OF_MEMORY, Speed

MEAN = "geometric mean"
ONE_PROCESS = (
    "* from one process: rounds are not independent, and the interval leaves out the noise between "
    "processes; measure with --cnnbench-processes=3 or more"
)
ANOTHER_TIME = (
    "Reports that were measured at different times can differ for that reason alone, above all on "
    "a shared machine; `cnnbench ab` compares side by side."
)


def text_of(
    comparisons: Sequence[Comparison], outcome: Outcome | None = None, *, markdown: bool = False
) -> str:
    """Returns the comparisons for a terminal, or as Markdown."""
    judged = list(outcome.rows) if outcome else None
    blocks = []
    for one in comparisons:
        count = len(one.ratios)
        own = None if judged is None else judged[:count]
        judged = None if judged is None else judged[count:]
        blocks.append(_block(one, own, markdown))
    blocks.append(ANOTHER_TIME)
    if outcome is not None:
        blocks.append(outcome_in_words(outcome))
    return "\n\n".join(blocks)


def _block(one: Comparison, judged: Sequence[Judged] | None, markdown: bool) -> str:
    if one.first is one.later:
        title = f"Speed within {one.first.label}: ratios of the second to the first"
    else:
        title = f"Speed of {one.later.label} relative to {one.first.label}"
    cells = [_cells(ratio, judged[at] if judged else None) for at, ratio in enumerate(one.ratios)]
    if one.mean is not None:
        key = dict.fromkeys(cells[0], "")
        shown = _ratio_text(one.mean.value, one.mean, one.mean.basis)
        cells.append({**key, "variant": f"{MEAN} of {one.mean.rows}", **shown})
    lines = [f"### {title}" if markdown else title, ""]
    if cells:
        lines += _markdown(cells) if markdown else _plain(cells)
    else:
        lines.append("no row in common")
    notes = []
    bases = {ratio.basis for ratio in one.ratios}
    if "rounds" in bases:
        notes.append(ONE_PROCESS)
    notes += [f"not compared: {line}" for line in one.unmatched]
    notes += [f"only in {one.later.label}: {line}" for line in one.extra]
    notes += [f"differs, first and later: {line}" for line in one.differing]
    if markdown:
        notes = [f"- {note.replace('* ', chr(92) + '* ', 1)}" for note in notes]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _cells(ratio: Ratio, judged: Judged | None) -> dict[str, str]:
    key = {name: both(getattr(ratio.first, name), getattr(ratio.later, name)) for name in KEY}
    notes = [*ratio.problems, *ratio.differing]
    return {
        **key,
        "first": _speed_text(ratio.first),
        "later": _speed_text(ratio.later),
        **_ratio_text(ratio.value, ratio, ratio.basis),
        **({"verdict": judged.verdict} if judged else {}),
        "notes": "; ".join(notes),
    }


def _ratio_text(value: float, found: Ratio | GeometricMean, basis: str) -> dict[str, str]:
    if found.change is None:
        return {"ratio": "-", "95 % interval": "-"}
    interval = found.interval()
    around = f"{number(interval.low)} to {number(interval.high)}"
    if basis == "none":
        around = "unknown"
    return {"ratio": number(value), "95 % interval": around + ("*" if basis == "rounds" else "")}


def number(ratio: float) -> str:
    """Returns a ratio with three significant digits at least."""
    if math.isinf(ratio) or ratio >= 1000:
        return "∞" if math.isinf(ratio) else f"{ratio:.0f}"
    return f"{ratio:.3f}" if ratio < 10 else f"{ratio:.1f}"


def _speed_text(speed: Speed) -> str:
    if OUT_OF_MEMORY in speed.problems and not speed.processes:
        return OUT_OF_MEMORY
    if not speed.processes:
        return "-"
    digits = 0 if speed.per_second >= 100 else 1
    return f"{speed.per_second:.{digits}f} img/s"


def _shown(cells: Sequence[dict[str, str]]) -> list[list[str]]:
    """Returns header and rows without columns that are empty everywhere."""
    names = [name for name in cells[0] if any(cell[name] for cell in cells)]
    heads = [name.replace("_", " ") for name in names]
    return [heads, *([cell[name] for name in names] for cell in cells)]


def _plain(cells: Sequence[dict[str, str]]) -> list[str]:
    table = _shown(cells)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _markdown(cells: Sequence[dict[str, str]]) -> list[str]:
    head, *rows = [[text.replace("|", "\\|") for text in row] for row in _shown(cells)]
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |".replace("*", "\\*") for line in lines]


def outcome_in_words(outcome: Outcome) -> str:
    """Returns the gate's verdict in a paragraph."""
    rule = outcome.rule
    counts = {
        name: sum(row.verdict == name for row in outcome.rows)
        for name in ("pass", "fail", "inconclusive")
    }
    text = (
        f"{outcome.verdict.upper()}: of {len(outcome.rows)} rows {counts['pass']} pass, "
        f"{counts['fail']} fail, {counts['inconclusive']} are inconclusive. A row fails if it "
        f"is significantly slower (alpha {rule.alpha:g} for all rows together, Holm) and the "
        f"estimate is at least {rule.margin:.1%} more time. It passes if a slowdown of "
        f"{rule.margin:.1%} is ruled out (beta {rule.beta:g}). The unit is the process."
    )
    if outcome.unmatched:
        text += (
            f" {outcome.unmatched} rows of the first report were not compared, so the gate can't "
            "pass without --allow-missing."
        )
    reasons: dict[str, list[str]] = {}
    for row in outcome.rows:
        if row.verdict != "pass":
            reasons.setdefault(f"{row.verdict}: {row.reason}", []).append(row.ratio.later.words())
    return "\n".join([text, *(f"{why} ({_named(rows)})" for why, rows in reasons.items())])


def _named(rows: Sequence[str]) -> str:
    return rows[0] if len(rows) == 1 else f"{rows[0]} and {len(rows) - 1} more"


def both(one: object, other: object) -> str:
    """Returns what two rows have in a column: `cpu`, or `cpu → gpu`."""
    texts = ["" if each is None else str(each) for each in (one, other)]
    return texts[0] if texts[0] == texts[1] else " → ".join(texts)
