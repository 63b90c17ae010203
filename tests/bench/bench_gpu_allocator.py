"""How fast the allocator is: reserve + commit + release, 64 devices, 200 containers.

Run: venv/bin/python tests/bench/bench_gpu_allocator.py [--folder DIR] [--seconds N]
Prints one JSON object. State and log are written durably, on tmpfs by default. Engine
and NVML are pretended: what they take is theirs.

`call` is a single call, which holds the lock once. In `contended` 32 processes make
cycles without a pause: each call waits for 31 others. In `paced` they make 100 cycles a
second in all, at random moments. Each process has made one cycle before the time runs,
and none ends before all are done: a fork's first cycle and its end are about memory.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests/python")]

import gpu_world  # noqa: E402
from ds01.gpus.devices.types import Inventory  # noqa: E402
from ds01.gpus.rules.request import parse_request  # noqa: E402

PROCESSES = 32
PACE = 100
GPUS = 8
CONTAINERS = 200
HELD = 20


def make_world(folder: Path) -> gpu_world.World:
    """8 GPUs of 7 instances and 8 whole ones; 200 containers, 20 of them with one."""
    devices = [d for n in range(GPUS) for d in gpu_world.mig(n)]
    devices += [gpu_world.gpu(GPUS + n) for n in range(GPUS)]
    world = gpu_world.World(
        gpu_world.make_paths(folder), inventory=Inventory(tuple(devices))
    )
    instances = [d.uuid for d in devices if d.is_mig]
    # Those that the cycles are about are there all the time, in every process's view.
    cycled = [("one", 4001), *((f"new{n}", 5000 + n) for n in range(PROCESSES))]
    for name, uid in cycled:
        world.make(name, uid)
    for number in range(CONTAINERS - len(cycled)):
        held = (instances[number],) if number < HELD else ()
        world.make(f"old{number}", 1000 + number, *held)
    world.allocator().reconcile()
    return world


def cycle(world: gpu_world.World, allocator: Any, name: str, uid: int) -> list[float]:
    """Reserve, commit, release; return how long each took."""
    request = parse_request("1g.5gb")
    marks = [time.perf_counter()]
    allocator.reserve(gpu_world.user(uid), request, name, gpu_world.me())
    marks.append(time.perf_counter())
    allocator.commit(name, world.containers[name].id)
    marks.append(time.perf_counter())
    allocator.release(name, "bench")
    marks.append(time.perf_counter())
    return [after - before for before, after in itertools.pairwise(marks)]


def worker(folder: str, number: int, seconds: float, pause: float, out: Any) -> None:
    world = make_view(Path(folder))
    allocator = world.allocator()
    times: list[list[float]] = []
    uid = 5000 + number
    cycle(world, allocator, f"new{number}", uid)
    out[0].wait()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if pause:
            time.sleep(random.expovariate(1 / pause))
        times.append(cycle(world, allocator, f"new{number}", uid))
    out[0].wait()
    out[1].put(times)


_world: gpu_world.World | None = None


def make_view(folder: Path) -> gpu_world.World:
    del folder
    assert _world is not None
    return _world


def contend(folder: Path, seconds: float, pause: float) -> dict[str, float]:
    barrier = multiprocessing.Barrier(PROCESSES)
    queue: Any = multiprocessing.Queue()
    processes = [
        multiprocessing.Process(
            target=worker, args=(str(folder), n, seconds, pause, (barrier, queue))
        )
        for n in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    times = [t for _ in processes for t in queue.get(timeout=seconds + 60)]
    for process in processes:
        process.join()
    calls = sorted(call for each in times for call in each)
    cycles = sorted(sum(each) for each in times)
    return {
        "cycles_per_second": round(len(cycles) / seconds, 1),
        "call_p50_ms": ms(calls, 0.5),
        "call_p99_ms": ms(calls, 0.99),
        "cycle_p50_ms": ms(cycles, 0.5),
        "cycle_p99_ms": ms(cycles, 0.99),
    }


def ms(times: list[float], part: float) -> float:
    return round(1000 * times[min(len(times) - 1, int(len(times) * part))], 2)


def main() -> int:
    global _world  # noqa: PLW0603 - inherited by the forked workers
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--seconds", type=float, default=5.0)
    words = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ds01-bench-", dir=words.folder))
    try:
        _world = world = make_world(folder)
        allocator = world.allocator()
        for _ in range(20):
            cycle(world, allocator, "one", 4001)
        times: list[list[float]] = []
        end = time.monotonic() + words.seconds
        while time.monotonic() < end:
            times.append(cycle(world, allocator, "one", 4001))
        cycles = sorted(sum(each) for each in times)
        answer = {
            "devices": 64,
            "containers": CONTAINERS,
            "alone": {
                "cycles_per_second": round(len(cycles) / sum(cycles), 1),
                "cycle_p99_ms": ms(cycles, 0.99),
                **{
                    f"{name}_p50_ms": ms(sorted(t[i] for t in times), 0.5)
                    for i, name in enumerate(("reserve", "commit", "release"))
                },
            },
            "paced": contend(folder, words.seconds, PROCESSES / PACE),
            "contended": contend(folder, words.seconds, 0),
        }
    finally:
        shutil.rmtree(folder)
    print(json.dumps(answer, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
