"""Logs of a busy server that never was: users with containers, waits, stops, refusals.

The same seed gives the same logs, as the allocator, the gateway and the lifecycle write
them; the figures that are to be found again are returned.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ds01.core.units import utc_stamp

KINDS = {"1g.5gb": 1 / 7, "2g.10gb": 2 / 7, "3g.20gb": 3 / 7, "full": 1.0}
USERS = ("alice", "bob", "carol", "dave", "erin.long@example.org", "frank", "grace")


@dataclass
class Truth:
    """What was written: GPU-seconds granted per uid, and counts."""

    granted: dict[int, float] = field(default_factory=dict)
    refused: int = 0
    created: int = 0
    stopped: int = 0
    waits: list[float] = field(default_factory=list)
    lines: int = 0


class World:
    """Writes lines in the order of their times."""

    def __init__(self, begin: datetime, end: datetime, seed: int = 7) -> None:
        self.begin, self.end = begin, end
        self.chance = random.Random(seed)  # noqa: S311 - the same each time
        self.truth = Truth()
        self._lines: dict[str, list[tuple[str, str]]] = {"events": [], "gpus": []}
        self._ticket = 0

    def _tell(self, log: str, moment: datetime, kind: str, **fields: Any) -> None:
        stamp = utc_stamp(moment)
        line = {"time": stamp, "type": kind, **fields, "pid": 4711}
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        self._lines[log].append((stamp, text))
        self.truth.lines += 1

    def container(self, number: int) -> None:
        """Write the whole life of one container."""
        chance, truth = self.chance, self.truth
        who = chance.randrange(len(USERS))
        uid, user = 1001 + who, USERS[who]
        kind = chance.choice(list(KINDS))
        share, device = KINDS[kind], f"GPU-{number % 8:08d}"
        about = {"user": user, "uid": uid, "container": f"job{number}._.{uid}"}
        span = (self.end - self.begin).total_seconds()
        at = self.begin + timedelta(seconds=chance.random() * span)
        grant = {
            **about,
            "container_id": f"{number:064x}",
            "request": kind,
            "devices": [device],
            "profiles": [kind],
            "parents": [device],
            "share": share,
        }
        if chance.random() < 0.3:
            for _ in range(chance.randint(1, 3)):
                truth.refused += 1
                rule = chance.choice(["max_gpus", "max_mig_instances", "no-free-gpu"])
                self._tell("gpus", at, "refuse", **about, rule=rule, code=rule)
        if chance.random() < 0.3:
            self._ticket += 1
            place = {**about, "request": kind, "priority": 10, "ticket": self._ticket}
            self._tell("gpus", at, "enqueue", **place)
            wait = chance.expovariate(1 / 3000)
            at += timedelta(milliseconds=round(wait * 1000))
            truth.waits.append(wait)
            grant["ticket"] = self._ticket
        self._tell("gpus", at, "grant", **{**grant, "container_id": ""})
        begin, at = at, at + timedelta(seconds=1)
        grant.pop("ticket", None)
        self._tell("gpus", at, "commit", **grant)
        name = {"name": f"job{number}"}
        truth.created += 1
        self._tell("events", at, "created", **about, **name, image="pytorch:2.7")
        self._tell("events", at, "started", **about, **name, gpus=[device])
        at += timedelta(seconds=chance.expovariate(1 / 20_000))
        idle = chance.random() < 0.4
        if idle:
            figures = {"idle_seconds": 3600.0, "limit_seconds": 3600}
            what = {"rule": "idle_timeout", "figures": figures, "by": "lifecycle"}
            self._tell("events", at, "stopped", **about, **name, **what)
            truth.stopped += 1
        else:
            self._tell("events", at, "stopped", **about, **name)
        held = at + timedelta(seconds=3600)
        self._tell("gpus", at, "hold", **grant, stopped=utc_stamp(at), until=None)
        length = (held - begin).total_seconds()
        self._tell(
            "gpus",
            held,
            "release",
            **grant,
            reason="hold-expired",
            was="held",
            begin=utc_stamp(begin),
            end=utc_stamp(held),
            gpu_seconds=round(length * share, 3),
        )
        truth.granted[uid] = truth.granted.get(uid, 0.0) + length * share
        self._tell("events", held, "removed", **about, **name)

    def _ordered(self, log: str) -> Iterator[str]:
        return (text for _, text in sorted(self._lines[log], key=lambda item: item[0]))

    def write(self, folder: Path) -> Truth:
        """Write both logs."""
        for log, name in (("events", "events.jsonl"), ("gpus", "gpu-allocations.log")):
            text = "".join(line + "\n" for line in self._ordered(log))
            (folder / name).write_text(text, encoding="utf-8")
        return self.truth


def busy(folder: Path, begin: datetime, end: datetime, containers: int) -> Truth:
    """Write logs of so many containers, about nine lines each."""
    world = World(begin, end)
    for number in range(containers):
        world.container(number)
    return world.write(folder)
