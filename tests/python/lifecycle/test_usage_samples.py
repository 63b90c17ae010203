"""usage_samples.py: what a pass saw, as used GPU time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ds01.gpus.ledger.document import Document, Grant
from ds01.gpus.rules.refusal import GrantedDevice
from ds01.lifecycle.activity import GpuUse
from ds01.lifecycle.activity import Sample as Activity
from ds01.lifecycle.extras import samples
from ds01.lifecycle.types import Decision, Subject
from ds01.records.pass_entries import Entry

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)


def device(uuid: str, share: float) -> GrantedDevice:
    return GrantedDevice(uuid, uuid, "full", None, None, share, share < 1)


GRANT = Grant(
    "c._.7",
    7,
    "alice",
    "1",
    "allocated",
    NOW - timedelta(hours=1),
    (device("GPU-1", 1.0), device("MIG-1", 1 / 7)),
    container_id="id",
)


def seen(state: str = "running", **fields: Any) -> tuple[Subject, Decision]:
    use = (GpuUse("GPU-1", 40.0), GpuUse("MIG-1", None, is_mig=True))
    subject = Subject(
        "c._.7",
        "id",
        "c",
        7,
        "alice",
        state,
        NOW - timedelta(hours=2),
        started=NOW - timedelta(hours=1),
        sample=Activity(NOW, gpus=use),
    )
    entry = Entry("id", 7, "alice", "c", state, last_active=NOW)
    idle = fields.pop("last_active", NOW)
    return replace(subject, **fields), Decision(replace(entry, last_active=idle))


def test_each_device_is_a_sample_of_its_own() -> None:
    found = list(samples([seen()], Document(grants=(GRANT,)), NOW, 60))
    assert [(s.share, s.used, s.idle) for s in found] == [
        (1.0, 0.4, False),
        (1 / 7, None, False),
    ]
    assert {(s.begin, s.end, s.uid) for s in found} == {(NOW - MINUTE, NOW, 7)}


def test_idle_is_idle_for_the_whole_time() -> None:
    world = Document(grants=(GRANT,))
    idle = seen(last_active=NOW - MINUTE)
    assert all(s.idle for s in samples([idle], world, NOW, 60))
    assert not any(s.idle for s in samples([idle], world, NOW, 120))
    assert all(
        s.idle is None for s in samples([seen(last_active=None)], world, NOW, 60)
    )


def test_what_started_since_counts_from_its_start() -> None:
    started = NOW - timedelta(seconds=20)
    found = samples([seen(started=started)], Document(grants=(GRANT,)), NOW, 60)
    assert {s.begin for s in found} == {started}


def test_nothing_is_said_of_others() -> None:
    world = Document(grants=(GRANT,))
    assert not list(samples([seen("exited")], world, NOW, 60))
    assert not list(samples([seen()], Document(), NOW, 60))
    # The first pass knows of no time before it.
    assert not list(samples([seen()], world, NOW, 0))


def test_without_the_driver_use_is_unknown() -> None:
    blind = seen(sample=Activity(NOW, gpus=None))
    found = list(samples([blind], Document(grants=(GRANT,)), NOW, 60))
    assert [s.used for s in found] == [None, None]
