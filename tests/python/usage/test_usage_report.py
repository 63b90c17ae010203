"""usage/report.py, usage/words.py, report_show.py: figures of a window, and who sees
whose."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import report_show
from ds01.core.errors import Exit, HelperError
from ds01.core.paths import Paths, find_paths
from ds01.core.units import utc_stamp
from ds01.gpus.ledger import document as ledger_document
from ds01.gpus.ledger.document import Document, Grant, Ticket
from ds01.gpus.rules.refusal import GrantedDevice
from ds01.usage import report as usage_report
from ds01.usage.days import Sample, note
from ds01.usage.report import Report, default_window, edges_of, for_user, make
from ds01.usage.words import as_object, hours, text
from log_world import busy

NOW = datetime.now(timezone.utc).replace(microsecond=0)
WEEK = NOW - timedelta(days=7)

POLICY = """
version: 1
default_group: student
groups:
  student: {}
  staff: {members: [root, daemon]}
"""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    for name in ("etc/ds01", "var/lib/ds01/container-metadata", "var/log/ds01"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("DS01_ROOT", str(tmp_path))
    found = find_paths()
    found.policy.write_text(POLICY, encoding="utf-8")
    return found


def event(kind: str, ago: float, **fields: Any) -> dict[str, Any]:
    """Return an event of so many hours ago."""
    base = {
        "time": utc_stamp(NOW - timedelta(hours=ago)),
        "type": kind,
        "user": "daemon",
        "uid": 1,
        "container": "train._.1",
    }
    return {**base, **fields}


def span(begin: float, end: float, **fields: Any) -> dict[str, Any]:
    """Return the release of a grant, in hours ago."""
    times = {
        "begin": utc_stamp(NOW - timedelta(hours=begin)),
        "end": utc_stamp(NOW - timedelta(hours=end)),
    }
    given = {"devices": ["GPU-1"], "share": 1.0, "reason": "gone", "was": "allocated"}
    return event("release", end, **{**times, **given, **fields})


def write(paths: Paths, events: list[Any], gpus: list[Any]) -> None:
    for name, lines in (("events.jsonl", events), ("gpu-allocations.log", gpus)):
        told = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        (paths.log / name).write_text(told, encoding="utf-8")


def user(report: Report, uid: int) -> usage_report.Row:
    return next(row for row in report.users if row.uid == uid)


def test_granted_and_used_hours(paths: Paths) -> None:
    write(paths, [], [span(10, 4), span(200, 166, share=0.5), span(400, 300)])
    begin = NOW - timedelta(hours=9)
    for minute in range(120):
        first = begin + timedelta(minutes=minute)
        last = first + timedelta(minutes=1)
        sample = Sample(1, "daemon", first, last, 1.0, 0.25, minute >= 60)
        note(paths, [sample], NOW)
    row = user(make(paths, WEEK, NOW), 1)
    # Of the second grant only what lies in the window, of the third nothing.
    assert row.granted / 3600 == pytest.approx(6 + 0.5 * 2)
    assert row.used is not None
    assert row.used / 3600 == pytest.approx(0.5)
    assert row.idle is not None
    assert row.idle / 3600 == pytest.approx(1.0)
    assert row.measured == pytest.approx(2 / 7)


def test_what_was_not_sampled_is_unknown_and_not_zero(paths: Paths) -> None:
    write(paths, [], [span(10, 4)])
    report = make(paths, WEEK, NOW)
    assert user(report, 1).used is None
    assert any("unknown" in line for line in report.notes)
    shown = as_object(report)
    assert shown["users"][0]["used_hours"] is None
    assert shown["users"][0]["granted_hours"] == 6
    line = next(row for row in text(report).splitlines() if row.startswith("daemon"))
    assert line.split()[:5] == ["daemon", "staff", "6.00", "0.00", "unknown"]


def test_present_grants_count_and_a_past_window_ends_before_them(paths: Paths) -> None:
    device = GrantedDevice("GPU-1", "GPU-1", "full", None, None, 1.0, False)
    grant = Grant(
        "now._.1", 1, "daemon", "1", "allocated", NOW - timedelta(hours=3), (device,)
    )
    ticket = Ticket(1, "x._.1", 1, "daemon", "1", 10, NOW)
    document = Document(born="x", grants=(grant,), queue=(ticket,))
    ledger_document.save(paths, document)
    report = make(paths, WEEK, NOW)
    assert user(report, 1).granted / 3600 == pytest.approx(3)
    assert report.waiting == 1
    earlier = make(paths, WEEK, NOW - timedelta(hours=2))
    assert user(earlier, 1).granted / 3600 == pytest.approx(1)
    assert make(paths, WEEK, NOW - timedelta(hours=4)).total.granted == 0


def test_a_release_after_the_window_counts_up_to_its_end(paths: Paths) -> None:
    write(paths, [], [span(30, 1)])
    report = make(paths, NOW - timedelta(hours=20), NOW - timedelta(hours=10))
    assert user(report, 1).granted / 3600 == pytest.approx(10)


def test_refusals_waits_stops_and_builds(paths: Paths) -> None:
    figures = {"idle_seconds": 7200.0, "limit_seconds": 7200}
    other = {"uid": 2, "user": "bin", "container": "b._.2"}
    write(
        paths,
        [
            event("created", 9),
            event("created", 8, **other),
            event("denied", 7, code="privileged", reason="no"),
            event("stopped", 5, rule="idle_timeout", figures=figures),
            event("stopped", 4, **other),
            event("image-built", 3),
            event("image-failed", 2),
            event("created", 400),
        ],
        [
            event("enqueue", 180, ticket=1),
            event("grant", 167, ticket=1, devices=["GPU-1"], share=1.0),
            event("enqueue", 10, ticket=2, **other),
            event("leave", 9.5, ticket=2, reason="cancelled", **other),
            event("refuse", 6, rule="max_gpus", code="quota"),
            event("refuse", 6, rule="max_gpus", code="quota", **other),
            event("refuse", 5, rule="", code="no-free-gpu"),
            span(167, 4, reason="hold-expired", was="held"),
        ],
    )
    report = make(paths, WEEK, NOW)
    mine, theirs = user(report, 1), user(report, 2)
    assert (mine.created, mine.stopped, mine.builds, mine.failed_builds) == (1, 1, 1, 1)
    assert (theirs.created, theirs.stopped, theirs.gave_up) == (1, 0, 1)
    assert mine.waited == (13 * 3600,)
    assert [(r.reason, r.count, r.users) for r in report.refused] == [
        ("max_gpus", 2, 2),
        ("no-free-gpu", 1, 1),
        ("privileged", 1, 1),
    ]
    assert report.reclaimed.stops == {"idle_timeout": 1}
    assert report.reclaimed.idle == 7200
    assert report.reclaimed.returned == 1.0
    assert "1 served (median 13h, longest 13h), 1 gave up" in text(report)


def test_groups_are_the_policys_and_a_broken_policy_says_so(paths: Paths) -> None:
    write(paths, [], [span(10, 4), span(10, 8, uid=2, user="bin", container="b._.2")])
    report = make(paths, WEEK, NOW)
    assert [(g.name, g.users, round(g.granted / 3600, 3)) for g in report.groups] == [
        ("staff", 1, 6),
        ("student", 1, 2),
    ]
    paths.policy.write_text("version: [", encoding="utf-8")
    report = make(paths, WEEK, NOW)
    assert [g.name for g in report.groups] == ["unknown"]
    assert report.notes[0].startswith("the groups are not known: ")


def test_others_are_a_sum_for_a_user(paths: Paths) -> None:
    lines = [span(10, 4, uid=n, user=f"u{n}", container=f"c._.{n}") for n in (1, 2, 3)]
    write(paths, [], lines)
    report = for_user(make(paths, WEEK, NOW), 2)
    assert [(row.name, round(row.granted / 3600, 3)) for row in report.users] == [
        ("u2", 6),
        ("2 others", 12),
    ]
    assert report.total.granted / 3600 == pytest.approx(18)


@pytest.mark.parametrize(
    ("policy", "uid", "names"),
    [
        (POLICY, 0, ["daemon", "bin"]),
        (POLICY, 1, ["daemon", "1 other"]),
        (POLICY + "gpu_allocation: {show_names: true}\n", 1, ["daemon", "bin"]),
        ("broken: [", 1, ["daemon", "1 other"]),
    ],
)
def test_names_are_shown_as_the_policy_allows(  # noqa: PLR0917
    paths: Paths,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
    uid: int,
    names: list[str],
) -> None:
    write(paths, [], [span(10, 4), span(10, 8, uid=2, user="bin", container="b._.2")])
    paths.policy.write_text(policy, encoding="utf-8")
    monkeypatch.setattr(os, "getuid", lambda: uid)
    assert report_show.main(["--json"]) == Exit.OK
    shown = json.loads(capsys.readouterr().out)
    assert [row["user"] for row in shown["users"]] == names


def test_csv_leaves_unknown_figures_empty(
    paths: Paths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(paths, [], [span(10, 4, user="=cmd()")])
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert report_show.main(["--csv"]) == Exit.OK
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 1
    assert rows[0]["user"] == "'=cmd()"
    assert (rows[0]["granted_hours"], rows[0]["used_hours"]) == ("6.0", "")


def test_a_server_without_any_event(paths: Paths) -> None:
    report = make(paths, WEEK, NOW)
    assert report.users == ()
    assert "0 containers made" in text(report)


def test_windows() -> None:
    assert default_window(NOW, None, None, 7) == (WEEK, NOW)
    assert default_window(NOW, WEEK, NOW + timedelta(days=1), 30) == (WEEK, NOW)


@pytest.mark.parametrize("days", [0.02, 1, 7, 30, 400, 4000])
def test_the_course_has_few_spans_that_cover_the_window(days: float) -> None:
    begin = NOW - timedelta(days=days)
    edges = edges_of(begin, NOW)
    assert (edges[0], edges[-1]) == (begin, NOW)
    assert list(edges) == sorted(set(edges))
    assert len(edges) <= 45


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "unknown"), (0, "0.00"), (5400, "1.50"), (35999, "10.0"), (1e6, "277.8")],
)
def test_hours(seconds: float | None, shown: str) -> None:
    assert hours(seconds) == shown


def test_a_time_that_has_not_come_is_refused(paths: Paths) -> None:
    with pytest.raises(HelperError, match="has not come yet"):
        report_show.main(["--since", "2999-01-01"])


@pytest.mark.alone
def test_figures_of_two_hundred_thousand_lines(
    paths: Paths, record_property: Callable[[str, object], None]
) -> None:
    begin, end = NOW - timedelta(days=29), NOW - timedelta(days=4)
    truth = busy(paths.log, begin, end, 22_600)
    assert truth.lines >= 200_000
    report = make(paths, NOW - timedelta(days=60), NOW)
    found = {row.uid: row.granted for row in report.users}
    # The stamps have milliseconds, and so does each grant's length.
    assert found == pytest.approx(truth.granted, rel=1e-6)
    assert report.total.refused == truth.refused
    assert report.total.created == truth.created
    assert report.total.stopped == truth.stopped
    assert sum(report.total.waited) == pytest.approx(sum(truth.waits), rel=1e-3)
