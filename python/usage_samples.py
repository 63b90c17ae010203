"""Turns what a lifecycle pass saw into samples of used GPU time (usage_days.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from ds01.gpus.ledger.document import Document
from ds01.usage.days import Sample
from lifecycle_types import ACTIVE, Decision, Subject


def samples(
    decisions: Iterable[tuple[Subject, Decision]],
    document: Document,
    now: datetime,
    seconds: float,
) -> Iterator[Sample]:
    """Return a sample for each device of each running container.

    They are of the time since the pass before, `seconds` ago, or since the container's
    start. A device whose utilisation NVML does not know, as a MIG instance's, is a
    sample without one. Idle is what the rules found idle for the whole time.
    """
    before = now - timedelta(seconds=seconds)
    for subject, decision in decisions:
        grant = document.grant_of(subject.id)
        if subject.state not in ACTIVE or grant is None or seconds <= 0:
            continue
        begin = max(before, subject.started or before)
        seen = subject.sample.gpus if subject.sample else None
        percents = {gpu.uuid: gpu.percent for gpu in seen or ()}
        last = decision.entry.last_active
        for device in grant.devices:
            percent = percents.get(device.uuid)
            yield Sample(
                uid=subject.uid,
                user=subject.user,
                begin=begin,
                end=now,
                share=device.share,
                used=None if percent is None else percent / 100,
                idle=None if last is None else last <= begin,
            )
