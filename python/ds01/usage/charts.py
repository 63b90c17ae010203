"""Charts of a report as SVG that takes its colours from the page it stands in.

matplotlib draws in stand-in colours, which become variables of the page's style. It is
slow to load, so only html.py imports this module.
"""

from __future__ import annotations

import html
import io
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ds01.usage.report import Report, Row

INK, SOFT, GRID, LINE = "#010101", "#020202", "#030303", "#040404"
_SERIES = [f"#0500{number:02d}" for number in range(1, 9)]
_STANDINS = {
    INK: "--ink",
    SOFT: "--soft",
    GRID: "--grid",
    LINE: "--line",
    **{colour: f"--s{number}" for number, colour in enumerate(_SERIES, start=1)},
}
_MOST_BARS = 20
_LONGEST_NAME = 24


def charts(report: Report) -> Iterable[str]:
    """Return the charts that have something to show, as parts of a page."""
    plt = _load()
    if report.total.granted > 0:
        yield _chart(
            plt, "course", "GPUs granted over time", lambda axes: _course(axes, report)
        )
        rows = [row for row in report.users if row.granted > 0][:_MOST_BARS]
        yield _chart(
            plt,
            "users",
            "GPU-hours by user",
            lambda axes: _users(axes, rows),
            height=1.4 + 0.32 * len(rows),
        )
    if report.total.waited:
        yield _chart(
            plt,
            "waits",
            "How long requests waited",
            lambda axes: _waits(axes, report.total.waited),
            height=2.4,
        )
    if report.refused:
        yield _chart(
            plt,
            "refusals",
            "Why requests were refused",
            lambda axes: _refusals(axes, report),
            height=1.0 + 0.32 * len(report.refused),
        )


def _load() -> Any:
    """Return matplotlib's pyplot, quiet, without a display or a home of its own."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    os.environ.setdefault("MPLCONFIGDIR", str(Path(base) / "ds01/matplotlib"))
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="matplotlib")
    import matplotlib as mpl  # noqa: PLC0415 - half a second

    mpl.use("svg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    mpl.rcParams.update(
        {
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 10,
            "date.converter": "concise",
            # A name with two dollars is no formula.
            "text.parse_math": False,
            "text.color": INK,
            "axes.labelcolor": SOFT,
            "axes.edgecolor": GRID,
            "axes.prop_cycle": mpl.rcsetup.cycler(color=_SERIES),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "grid.color": GRID,
            "xtick.color": SOFT,
            "ytick.color": SOFT,
            "hatch.color": SOFT,
            "legend.frameon": False,
        }
    )
    return plt


def _chart(
    plt: Any,
    name: str,
    heading: str,
    draw: Callable[[Any], None],
    height: float = 3.2,
) -> str:
    """Return a chart as a figure of the page."""
    plt.rcParams["svg.hashsalt"] = f"ds01-{name}"
    figure, axes = plt.subplots(figsize=(9, height), layout="constrained")
    draw(axes)
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    svg = _inline(file.getvalue(), name, heading)
    return f"<h2>{html.escape(heading)}</h2><figure>{svg}</figure>"


def _inline(svg: str, name: str, heading: str) -> str:
    """Return an SVG file as part of a page: themed, labelled, its ids its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    for standin, variable in _STANDINS.items():
        svg = svg.replace(standin, f"var({variable})")
    # The page's font, whatever the machine that drew it has.
    svg = re.sub(r"font: (\d+(?:\.\d+)?)px [^;\"]*", r"font-size: \1px", svg)
    label = html.escape(heading, quote=True)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _course(axes: Any, report: Report) -> None:
    """Draw how many GPU-equivalents each group had on average, span by span."""
    edges = report.edges
    lengths = [(b - a).total_seconds() for a, b in pairwise(edges)]
    names = sorted(report.series, key=lambda name: -sum(report.series[name]))
    below = [0.0] * len(lengths)
    starts = list(edges[:-1])
    widths = [b - a for a, b in pairwise(edges)]
    for number, name in enumerate(names):
        values = [
            seconds / length if length > 0 else 0.0
            for seconds, length in zip(report.series[name], lengths, strict=True)
        ]
        axes.bar(
            starts,
            values,
            widths,
            below,
            align="edge",
            label=_short(name),
            color=_SERIES[number % len(_SERIES)],
            edgecolor=_SERIES[number % len(_SERIES)],
            linewidth=0.5,
        )
        below = [a + b for a, b in zip(below, values, strict=True)]
    if report.capacity:
        axes.axhline(
            report.capacity, color=LINE, linewidth=1.2, linestyle="--", label="all GPUs"
        )
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    axes.set_ylabel("GPUs")
    axes.grid(axis="y")
    axes.figure.legend(loc="outside upper left", ncols=6)


def _users(axes: Any, rows: Sequence[Row]) -> None:
    """Draw what became of each user's granted hours."""
    places = range(len(rows))
    left = [0.0] * len(rows)
    for label, look, values in _parts(rows):
        if any(values):
            shown = [seconds / 3600 for seconds in values]
            axes.barh(places, shown, 0.7, left, label=label, **look)
            left = [a + b for a, b in zip(left, shown, strict=True)]
    axes.set_yticks(places, [_short(row.name) for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("GPU-hours")
    axes.grid(axis="x")
    axes.figure.legend(loc="outside upper left", ncols=4)


def _parts(
    rows: Sequence[Row],
) -> Iterable[tuple[str, dict[str, Any], list[float]]]:
    """Return the parts of the granted time: used and not, not measured, held."""
    outline = {"color": "none", "edgecolor": _SERIES[0]}
    running = [row.granted - row.held for row in rows]
    measured = [
        min(row.use.measured, most) for row, most in zip(rows, running, strict=True)
    ]
    used = [min(row.use.used, most) for row, most in zip(rows, measured, strict=True)]
    yield "used", {"color": _SERIES[0], "edgecolor": _SERIES[0]}, used
    unused = [most - part for most, part in zip(measured, used, strict=True)]
    yield "not used", outline, unused
    unknown = [most - part for most, part in zip(running, measured, strict=True)]
    yield "not measured", {**outline, "hatch": "////"}, unknown
    held = {"color": GRID, "edgecolor": _SERIES[0]}
    yield "held while stopped", held, [row.held for row in rows]


_WAIT_STEPS = (
    (60, "under 1m"),
    (600, "1–10m"),
    (3600, "10m–1h"),
    (6 * 3600, "1–6h"),
    (86400, "6–24h"),
    (float("inf"), "over a day"),
)


def _waits(axes: Any, waited: Sequence[float]) -> None:
    """Draw how many requests waited how long."""
    counts = []
    low = 0.0
    for high, _ in _WAIT_STEPS:
        counts.append(sum(low <= seconds < high for seconds in waited))
        low = high
    bars = axes.bar(range(len(counts)), counts, 0.7, color=_SERIES[2])
    axes.bar_label(bars, [str(count) if count else "" for count in counts], padding=2)
    axes.set_xticks(range(len(counts)), [name for _, name in _WAIT_STEPS])
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel("requests")
    axes.margins(y=0.15)
    axes.grid(axis="y")


def _refusals(axes: Any, report: Report) -> None:
    """Draw the reasons, the most frequent first."""
    counts = [item.count for item in report.refused]
    bars = axes.barh(range(len(counts)), counts, 0.7, color=_SERIES[1])
    axes.bar_label(bars, padding=4)
    axes.set_yticks(range(len(counts)), [_short(i.reason) for i in report.refused])
    axes.invert_yaxis()
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("requests")
    axes.margins(x=0.08)
    axes.grid(axis="x")
