"""The lines of gpu-status."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from ds01.core.processes import Process
from ds01.gpus.allocator.queue_words import name_of
from ds01.gpus.allocator.report import Status
from ds01.gpus.devices.types import Device, Inventory
from ds01.gpus.ledger.device_states import DeviceState
from ds01.gpus.ledger.document import Grant
from ds01.gpus.ledger.engine_view import View
from ds01.gpus.rules.refusal import GrantedDevice
from ds01.records.outlooks import Outlook
from ds01.show.gpus import HEADER, memory, notes, processes, row

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
GPU = Device("GPU-1", "GPU-1", "full", 40 * 10**9, index="0")
GRANT = Grant(
    container="job._.1001",
    uid=1001,
    user="alice",
    devices=(GrantedDevice("GPU-1", "GPU-1", "full", None, None, 1.0, False),),
    request="full",
    state="held",
    since=NOW - timedelta(hours=5),
    stopped=NOW - timedelta(hours=2),
    until=NOW + timedelta(hours=22),
)


def shown(state: DeviceState) -> dict[str, str]:
    return dict(zip(HEADER, row(state, NOW), strict=True))


def test_a_held_device_tells_whose_it_is_and_how_long() -> None:
    line = shown(DeviceState(GPU, "held", GRANT))
    assert line["DEVICE"] == "0"
    assert (line["USER"], line["CONTAINER"]) == ("alice", "job")
    assert (line["SINCE"], line["IDLE"], line["UNTIL"]) == ("5h", "2h", "in 22h")


def test_a_running_one_is_not_called_idle() -> None:
    running = replace(GRANT, state="allocated", stopped=None, until=None)
    line = shown(DeviceState(GPU, "allocated", running))
    assert (line["IDLE"], line["UNTIL"]) == ("", "")


def test_a_running_one_tells_what_the_lifecycle_foresees() -> None:
    running = replace(GRANT, state="allocated", stopped=None, until=None)
    known = Outlook(
        container="job._.1001",
        name="job",
        uid=1001,
        user="alice",
        state="running",
        last_active=NOW - timedelta(hours=38),
        idle_seconds=38 * 3600.0,
        active_because="",
        action="stop",
        rule="idle_timeout",
        at=NOW + timedelta(hours=10),
        why="idle",
        kept_until=None,
        kept_by="",
        warned=(),
    )
    state = DeviceState(GPU, "allocated", running)
    cells = row(state, NOW, {"job._.1001": known})
    line = dict(zip(HEADER, cells, strict=True))
    assert (line["IDLE"], line["UNTIL"]) == ("1d", "in 10h")
    # What a reservation of the policy takes back comes first.
    ends = replace(running, ends=NOW + timedelta(hours=3))
    cells = row(replace(state, grant=ends), NOW, {"job._.1001": known})
    assert dict(zip(HEADER, cells, strict=True))["UNTIL"] == "in 3h"


def test_a_free_device_has_nobody() -> None:
    line = shown(DeviceState(GPU, "free"))
    assert [line[key] for key in ("USER", "CONTAINER", "SINCE", "UNTIL")] == [""] * 4


def test_a_foreign_device_names_who_uses_it() -> None:
    line = shown(DeviceState(GPU, "foreign", why="someones-container"))
    assert line["CONTAINER"] == "someones-container"


def test_memory_and_use_are_blank_where_nvml_does_not_tell() -> None:
    assert memory(GPU) == "?/40.0G"
    assert memory(replace(GPU, memory_used=3_200_000_000)) == "3.2/40.0G"
    assert shown(DeviceState(GPU, "free"))["USE"] == ""
    assert shown(DeviceState(replace(GPU, utilisation=0), "free"))["USE"] == "0%"


def test_processes_are_named_a_few() -> None:
    few = tuple(Process(pid, f"p{pid}") for pid in (1, 2, 3, 4))
    assert processes(replace(GPU, processes=few[:1])) == "p1"
    assert processes(replace(GPU, processes=few)) == "p1,p2 +2"
    assert processes(replace(GPU, processes=None)) == "?"
    assert processes(replace(GPU, processes=(Process(7),))) == "7"


def test_names_are_the_users_own() -> None:
    assert name_of("job._.1001") == "job"
    assert name_of("foreign") == "foreign"


def test_notes_say_what_the_table_cannot() -> None:
    sick = DeviceState(GPU, "sick", why="fallen off the bus")
    found = Status((sick,), (), (), Inventory(), View(), engine="gone")
    assert notes(found, [sick]) == [
        "0 is sick: fallen off the bus",
        "the engine does not answer: gone",
    ]
