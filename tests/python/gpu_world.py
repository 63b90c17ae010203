"""A world for the allocator: devices, containers, users and a clock, all pretended.

The engine may be a file, so that processes share it and a kill leaves it behind.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner, is_alive, owner_of
from ds01.core.paths import Paths
from ds01.core.processes import Process
from ds01.gpus.allocator.allocator import Allocator
from ds01.gpus.devices.types import Device, Inventory
from ds01.gpus.ledger.engine_view import Container, View
from ds01.policy import limits
from ds01.policy.types import Policy, User

GIB = 1 << 30
START = datetime(2026, 11, 2, 8, 0, tzinfo=timezone.utc)

POLICY = """\
version: 1
default_group: student
defaults:
  max_gpus: 2
  max_mig_instances: 4
  max_gpus_per_container: 2
  max_containers_per_user: 8
  gpu_hold_after_stop: 24h
groups:
  student: {members: []}
  phd: {members: [user1, user2, user3], max_gpus: 4, allow_full_gpu: true, priority: 50}
  admin: {members: [root], max_gpus: null, max_mig_instances: null,
    max_gpus_per_container: null, allow_full_gpu: true,
    max_containers_per_user: null, priority: 90}
"""


def gpu(number: int, **fields: Any) -> Device:
    """A whole A100 of 40 GB."""
    uuid = f"GPU-{number:08d}-aaaa"
    device = Device(uuid, uuid, "full", 40 * GIB, index=str(number), name="A100")
    return replace(device, **fields)


def mig(number: int, layout: str = "1g.5gb*7", generation: int = 0) -> list[Device]:
    """A GPU in MIG mode and its instances: `3g.20gb,1g.5gb*3`."""
    parent = gpu(number, mig_mode=True)
    found = [parent]
    start = 0
    for part in layout.split(","):
        profile, _, times = part.partition("*")
        slices = int(profile.partition("g.")[0])
        size = {1: 1, 2: 2, 3: 4, 4: 4, 7: 8}[slices]
        for _ in range(int(times or 1)):
            place = len(found) - 1
            found.append(
                Device(
                    uuid=f"MIG-{number:04d}-{generation:04d}-{place:04d}",
                    parent=parent.uuid,
                    profile=profile,
                    memory=int(profile.partition(".")[2][:-2]) * GIB,
                    slices=slices,
                    total_slices=7,
                    start=start,
                    size=size,
                    index=f"{number}:{place}",
                )
            )
            start += size
    return found


def with_processes(inventory: Inventory, uuid: str, *processes: Process) -> Inventory:
    """The inventory with processes on a device."""
    return replace(
        inventory,
        devices=tuple(
            replace(d, processes=processes) if d.uuid == uuid else d
            for d in inventory.devices
        ),
    )


def container(name: str, uid: int, *uuids: str, **fields: Any) -> Container:
    """A running container of DS01."""
    made = Container(
        id=hashlib.sha256(name.encode()).hexdigest(),
        name=name,
        active=True,
        created=START,
        managed=True,
        uid=uid,
        user=f"user{uid}",
        request="1",
        holds=uuids,
    )
    return replace(made, **fields)


@dataclass
class World:
    """Everything that an allocator looks at; change it as you like."""

    paths: Paths
    inventory: Inventory = field(
        default_factory=lambda: Inventory((gpu(0), gpu(1), *mig(2), *mig(3)))
    )
    containers: dict[str, Container] = field(default_factory=dict)
    stopped: dict[str, datetime] = field(default_factory=dict)
    now: datetime = START
    engine_up: bool = True
    alive: Callable[[Owner], bool] = is_alive
    policy: Policy | None = None
    policy_error: HelperError | None = None
    engine: FileEngine | None = None

    def __post_init__(self) -> None:
        if self.policy is None:
            self.policy = make_policy(self.paths.etc, POLICY)

    def allocator(self) -> Allocator:
        """An allocator that sees this world."""
        return Allocator(
            self.paths,
            "unix:///nowhere",
            now=lambda: self.now,
            inventory=lambda: self.inventory,
            view=self.engine.view if self.engine else self.view,
            is_alive=self.alive,
            policy=self.read_policy,
            identify=user,
        )

    def read_policy(self) -> Policy:
        """The policy, unless it is said to be broken."""
        if self.policy_error is not None:
            raise self.policy_error
        assert self.policy is not None
        return self.policy

    def view(
        self, cache: Mapping[str, tuple[str, ...]]
    ) -> tuple[View, dict[str, tuple[str, ...]]]:
        """All containers, as read_view gives them."""
        del cache
        if not self.engine_up:
            raise HelperError(Exit.PREREQUISITE, "no Docker engine answers")
        all_of_them = tuple(self.containers.values())
        kept = {c.id: c.holds for c in all_of_them}
        return View(all_of_them, self.stopped.get), kept

    def pass_time(self, **spans: float) -> None:
        self.now += timedelta(**spans)

    def make(self, name: str, uid: int, *uuids: str, **fields: Any) -> Container:
        """Let the engine have a container."""
        fields.setdefault("created", self.now)
        made = container(name, uid, *uuids, **fields)
        self.containers[name] = made
        return made

    def run(self, name: str, uid: int, request: str, **fields: Any) -> Container:
        """Reserve, make, commit: what the gateway does."""
        from ds01.gpus.rules.request import parse_request

        allocator = self.allocator()
        grant = allocator.reserve(user(uid), parse_request(request), name, me())
        made = self.make(name, uid, *grant.uuids, request=request, **fields)
        allocator.commit(name, made.id)
        return made

    def stop(self, name: str) -> None:
        """Let a container end now."""
        self.containers[name] = replace(self.containers[name], active=False)
        self.stopped[self.containers[name].id] = self.now

    def start(self, name: str) -> None:
        """Let a container run again."""
        self.containers[name] = replace(self.containers[name], active=True)

    def remove(self, name: str) -> None:
        """Let a container be gone."""
        del self.containers[name]

    def states(self) -> dict[str, str]:
        """The state of each device by UUID."""
        from ds01.gpus.allocator import report

        found = report.status(self.allocator().desk)
        return {state.device.uuid: state.state for state in found.devices}

    def log(self, *kinds: str) -> list[dict[str, Any]]:
        """The lines of the log, of these types."""
        path = self.paths.log / "gpu-allocations.log"
        if not path.exists():
            return []
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [line for line in lines if not kinds or line["type"] in kinds]


class FileEngine:
    """An engine whose containers are a file: it outlives any process that uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            self._write({})

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found

    def _write(self, containers: dict[str, Any]) -> None:
        temp = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        temp.write_text(json.dumps(containers))
        temp.rename(self.path)

    def create(self, name: str, uid: int, uuids: Sequence[str]) -> str:
        """Make a container; returns its id."""
        made = os.urandom(32).hex()
        self._write({**self._read(), made: [name, uid, list(uuids)]})
        return made

    def remove(self, container_id: str) -> None:
        self._write({k: v for k, v in self._read().items() if k != container_id})

    def view(
        self, cache: Mapping[str, tuple[str, ...]]
    ) -> tuple[View, dict[str, tuple[str, ...]]]:
        """All containers, as read_view gives them."""
        del cache
        found = tuple(
            container(name, uid, *uuids, id=made)
            for made, (name, uid, uuids) in self._read().items()
        )
        return View(found), {c.id: c.holds for c in found}


def user(uid: int) -> User:
    """A user without an account."""
    return User("root" if uid == 0 else f"user{uid}", uid)


def me() -> Owner:
    """This process."""
    owner = owner_of(os.getpid())
    assert owner is not None
    return owner


def make_policy(folder: Path, text: str) -> Policy:
    """The policy of a text."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "resource-limits.yaml"
    path.write_text(text)
    return limits.load_policy(path)


def make_paths(root: Path) -> Paths:
    """An empty layout below a folder."""
    paths = Paths(root / "etc", root / "state", root / "log")
    for folder in (paths.etc, paths.state, paths.metadata, paths.log):
        folder.mkdir(parents=True, exist_ok=True)
    return paths


def assert_sound(world: World) -> None:
    """No device is held twice, and the document can be read."""
    from ds01.gpus.ledger import document as ledger_document

    document = ledger_document.peek(world.paths)
    assert document is not None
    uuids = [uuid for grant in document.grants for uuid in grant.uuids]
    assert len(uuids) == len(set(uuids))
