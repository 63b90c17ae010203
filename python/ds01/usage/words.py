"""A report as tables, lines, JSON and CSV. GPU-hours are GPU-equivalent hours."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ds01.core import table as core_table
from ds01.core.text import span
from ds01.core.units import counted, format_duration, format_time, utc_stamp
from ds01.usage.report import Report, Row, median

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Table:
    """A table and its title; `words` are the columns that are not numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[int] = frozenset({0})


def title(begin: datetime, end: datetime) -> str:
    """Return what the report is about."""
    first, last = (
        format_time(m.replace(second=0, microsecond=0)) for m in (begin, end)
    )
    length = format_duration(round((end - begin).total_seconds() / 60) * 60)
    return f"from {first} to {last} ({length})"


def hours(seconds: float | None) -> str:
    """Return GPU-seconds as hours: two decimals below ten, one above."""
    if seconds is None:
        return UNKNOWN
    value = seconds / 3600
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}"


def percent(part: float | None, whole: float = 1.0) -> str:
    """Return a part in percent; empty where there is no whole."""
    if part is None or whole <= 0:
        return ""
    return f"{100 * part / whole:.0f}%"


_FIGURES = (
    *("GRANTED", "HELD", "USED", "USE%", "MEASURED", "IDLE"),
    *("WAITED", "REFUSED", "MADE", "STOPPED", "BUILDS"),
)


def _figures(row: Row) -> tuple[str, ...]:
    middle = median(row.waited)
    has_gpus = row.granted > 0
    failed = f" ({row.failed_builds} failed)" if row.failed_builds else ""
    builds = row.builds + row.failed_builds
    return (
        hours(row.granted),
        hours(row.held),
        hours(row.used) if has_gpus or row.used is not None else "",
        percent(row.used, row.use.measured),
        percent(row.measured or 0.0) if has_gpus else "",
        hours(row.idle) if has_gpus else "",
        span(middle) if middle is not None else "",
        str(row.refused or ""),
        str(row.created or ""),
        str(row.stopped or ""),
        f"{builds}{failed}" if builds else "",
    )


def tables(report: Report) -> Iterator[Table]:
    """Return the tables: by user, by group, reasons of refusals."""
    users = [(r.name, r.group, *_figures(r)) for r in report.users]
    if len(users) > 1:
        users.append((report.total.name, "", *_figures(report.total)))
    header = ("USER", "GROUP", *_FIGURES)
    yield Table("By user", header, tuple(users), frozenset({0, 1}))
    groups = [(r.name, str(r.users), *_figures(r)) for r in report.groups]
    yield Table("By group", ("GROUP", "USERS", *_FIGURES), tuple(groups))
    refused = [(r.reason, str(r.count), str(r.users)) for r in report.refused]
    yield Table("Refused", ("REFUSED BY", "REQUESTS", "USERS"), tuple(refused))


def summary(report: Report) -> Iterator[tuple[str, str]]:
    """Return what is not in a table, as key and text."""
    total, back = report.total, report.reclaimed
    waited = total.waited
    if waited or total.gave_up or report.waiting:
        parts = [f"{len(waited)} served"]
        if waited:
            middle = span(median(waited) or 0.0)
            parts[0] += f" (median {middle}, longest {span(max(waited))})"
        parts.append(f"{total.gave_up} gave up")
        if report.waiting is not None:
            parts.append(f"{report.waiting} wait now")
        yield "waits", ", ".join(parts)
    if back.stops or back.returned:
        rules = ", ".join(
            f"{count} {rule}" for rule, count in sorted(back.stops.items())
        )
        text = f"{counted(sum(back.stops.values()), 'container')} stopped"
        text += f" ({rules})" if rules else ""
        text += f" after {hours(back.idle)} GPU-hours idle"
        yield "taken back", f"{text}; {back.returned:.2f} GPUs returned after a stop"
    made = f"{counted(total.created, 'container')} made, {total.removed} removed"
    builds = f"{counted(total.builds, 'image')} built, {total.failed_builds} failed"
    yield "made", f"{made}; {builds}"
    if report.capacity:
        whole = report.capacity * (report.end - report.begin).total_seconds()
        part = percent(total.granted, whole)
        now = counted(f"{report.capacity:g}", "GPU")
        yield "capacity", f"{now} now; {part} of that was granted"


def text(report: Report) -> str:
    """Return the report for people."""
    parts = [f"GPU-hours {title(report.begin, report.end)}\n"]
    parts += [
        core_table.render(table.header, table.rows)
        for table in tables(report)
        if table.rows
    ]
    parts.append("".join(f"{key:<10}  {what}\n" for key, what in summary(report)))
    return "\n".join(parts)


def row_json(row: Row) -> dict[str, Any]:
    """Return a row as plain values: hours, null where not known."""

    def in_hours(seconds: float | None) -> float | None:
        return None if seconds is None else round(seconds / 3600, 4)

    return {
        "granted_hours": in_hours(row.granted),
        "held_hours": in_hours(row.held),
        "used_hours": in_hours(row.used),
        "measured_hours": in_hours(row.use.measured),
        "idle_hours": in_hours(row.idle),
        "waits": len(row.waited),
        "wait_median_seconds": median(row.waited),
        "wait_longest_seconds": max(row.waited, default=None),
        "gave_up": row.gave_up,
        "refused": row.refused,
        "created": row.created,
        "removed": row.removed,
        "stopped_by_rule": row.stopped,
        "builds": row.builds,
        "failed_builds": row.failed_builds,
    }


def as_object(report: Report) -> dict[str, Any]:
    """Return the report for programs."""
    back = report.reclaimed
    return {
        "since": utc_stamp(report.begin),
        "until": utc_stamp(report.end),
        "users": [
            {"user": r.name, "uid": r.uid, "group": r.group or None, **row_json(r)}
            for r in report.users
        ],
        "groups": [
            {"group": r.name, "users": r.users, **row_json(r)} for r in report.groups
        ],
        "total": row_json(report.total),
        "refused": [
            {"reason": r.reason, "requests": r.count, "users": r.users}
            for r in report.refused
        ],
        "reclaimed": {
            "stops": dict(back.stops),
            "idle_hours": round(back.idle / 3600, 4),
            "gpus_returned": round(back.returned, 4),
        },
        "waiting": report.waiting,
        "capacity_gpus": report.capacity,
        "course": [
            {
                "since": utc_stamp(begin),
                "until": utc_stamp(end),
                "granted_hours": {
                    name: round(values[number] / 3600, 4)
                    for name, values in report.series.items()
                },
            }
            for number, (begin, end) in enumerate(
                zip(report.edges, report.edges[1:], strict=False)
            )
        ],
        "notes": list(report.notes),
    }


def as_csv(report: Report) -> str:
    """Return the users' rows as CSV: empty cells where a figure is not known."""
    file = io.StringIO()
    rows: Sequence[dict[str, Any]] = [
        {"user": _cell(r.name), "uid": r.uid, "group": r.group, **row_json(r)}
        for r in report.users
    ]
    fields = ["user", "uid", "group", *row_json(Row(""))]
    writer = csv.DictWriter(file, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _cell(name: str) -> str:
    # Spreadsheets run what begins like a formula.
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) else name
