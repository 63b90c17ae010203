"""Measure the gateway against the bare socket; print three ratios as one JSON object.

Usage: DOCKER_HOST=unix:///… venv/bin/python3 tests/bench/bench_gateway.py

Goals: `docker ps` at most 1.5 times the bare socket's time, a 1 GiB `docker cp` at
least 0.6 of its throughput in each direction, 200 connections at once without an
error. The two sides alternate in one run, and the best of each counts: other load on
the machine only ever adds time.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = [sys.executable, "-sE", str(ROOT / "python/docker_gateway.py"), "run", "--"]
CLIENT = "/usr/bin/docker"
IMAGE = "ds01/debian:bookworm"
NAME = f"b-bench-{os.getpid()}"
SIZE = 1 << 30


@contextlib.contextmanager
def served() -> Iterator[str]:
    """A running gateway; the address to reach it."""
    words = [*GATEWAY, "sh", "-c", "echo $DOCKER_HOST; cat >/dev/null"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    try:
        yield process.stdout.readline().decode().strip()
    finally:
        process.stdin.close()
        process.wait()


def docker(address: str, *words: str, output: int = subprocess.DEVNULL) -> float:
    """Run a docker command; return its seconds."""
    begin = time.perf_counter()
    subprocess.run([CLIENT, "-H", address, *words], check=True, stdout=output)
    return time.perf_counter() - begin


def alternate(
    times: int, addresses: tuple[str, str], job: Callable[[str], float]
) -> tuple[float, float]:
    """Return the best time of a job on each of two addresses."""
    results: tuple[list[float], list[float]] = ([], [])
    for _ in range(times):
        for address, seconds in zip(addresses, results, strict=True):
            seconds.append(job(address))
    return min(results[0]), min(results[1])


def one_request(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(address.removeprefix("unix://"))
        sock.sendall(b"GET /v1.41/containers/json?all=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        data = bytearray()
        while more := sock.recv(65536):
            data += more
    # Whole: a list of known length, or the last chunk.
    is_whole = data.endswith((b"]\n", b"\r\n0\r\n\r\n"))
    return data.startswith(b"HTTP/1.1 200") and is_whole


def main() -> int:
    engine = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    os.environ["DOCKER_HOST"] = engine
    with served() as gateway, tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        both = (engine, gateway)
        bare, behind = alternate(30, both, lambda address: docker(address, "ps"))
        docker(engine, "create", "--name", NAME, IMAGE, "true")
        try:
            file = Path(folder) / "file"
            with file.open("wb") as out:
                block = os.urandom(1 << 20)
                for _ in range(SIZE >> 20):
                    out.write(block)
            up = alternate(
                6, both, lambda address: docker(address, "cp", str(file), f"{NAME}:/f")
            )
            with open(os.devnull, "wb") as null:  # noqa: PTH123
                down = alternate(
                    6,
                    both,
                    lambda address: docker(
                        address, "cp", f"{NAME}:/f", "-", output=null.fileno()
                    ),
                )
        finally:
            docker(engine, "rm", "-f", NAME)
        with ThreadPoolExecutor(200) as pool:
            good = sum(pool.map(lambda _: one_request(gateway), range(200)))
        begin = time.perf_counter()
        for _ in range(10):
            subprocess.run([*GATEWAY, "true"], check=True)
        start = (time.perf_counter() - begin) / 10
    result = {
        "ps_times": round(behind / bare, 2),
        "ps_seconds": [round(bare, 4), round(behind, 4)],
        "cp_in_throughput": round(up[0] / up[1], 2),
        "cp_in_seconds": [round(value, 2) for value in up],
        "cp_out_throughput": round(down[0] / down[1], 2),
        "cp_out_seconds": [round(value, 2) for value in down],
        "connections_good_of_200": good,
        "run_true_seconds": round(start, 3),
    }
    print(json.dumps(result))
    is_met = (
        behind / bare <= 1.5
        and up[0] / up[1] >= 0.6
        and down[0] / down[1] >= 0.6
        and good == 200
    )
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
