#!/usr/bin/env python3
"""Measure the second `mlc create` of a user against a bare `docker create`, in one run.

Needs DOCKER_HOST and the image ds01/debian:bookworm. Prints one JSON object: medians
in seconds, their ratio, what is allowed (3 x bare + 1 s), how many layers the further
images added (each takes disk; none is wanted), and the rates of export and import.
Exits 1 where one is beyond what is allowed. It leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MLC = Path(__file__).resolve().parents[2] / "aime-ml-containers" / "mlc.py"
BASE = "ds01/debian:bookworm"
ROUNDS = 15


def docker(*words: str) -> str:
    done = subprocess.run(
        ["docker", *words], capture_output=True, text=True, check=True
    )
    return done.stdout


def layers(containers: list[str]) -> set[str]:
    """Return the layers that these containers stand on."""
    found: set[str] = set()
    for name in containers:
        image = json.loads(docker("container", "inspect", name))[0]["Image"]
        found |= set(
            json.loads(docker("image", "inspect", image))[0]["RootFS"]["Layers"]
        )
    return found


def timed(*words: str | Path) -> float:
    begin = time.perf_counter()
    subprocess.run([str(word) for word in words], check=True, capture_output=True)
    return time.perf_counter() - begin


def measure(folder: Path) -> dict[str, float]:
    tag = f"Abench{os.getpid()}"
    (folder / "mlc.py").symlink_to(MLC)
    (folder / "ml_images.repo").write_text(f"Debian, bookworm, [CPU], {BASE}\n")

    def mlc(*words: str | Path) -> float:
        return timed("python3", "-sES", folder / "mlc.py", *words, "-s")

    def create(name: str) -> float:
        return mlc("create", name, "Debian", "bookworm", "-w", folder)

    names = [f"{tag}-{number}" for number in range(ROUNDS)]
    bare = []
    try:
        first = create(f"{tag}-first")
        before = layers([f"{tag}-first._.{os.getuid()}"])
        ours = []
        for name in names:
            bare.append(
                timed("docker", "create", "--name", f"{name}-bare", BASE, "bash")
            )
            ours.append(create(name))
        after = layers([f"{name}._.{os.getuid()}" for name in names])
        file = folder / "x.tar"
        exported = mlc("export", f"{tag}-first", file)
        imported = mlc("import", file, f"{tag}-second", "-w", folder)
        mib = file.stat().st_size / (1 << 20)
    finally:
        for word in ("first", "second", *map(str, range(ROUNDS))):
            subprocess.run(
                ["python3", str(MLC), "remove", f"{tag}-{word}", "-s"],
                capture_output=True,
                check=False,
            )
            subprocess.run(
                ["docker", "rm", f"{tag}-{word}-bare"], capture_output=True, check=False
            )
    own, other = statistics.median(ours), statistics.median(bare)
    return {
        "first_create_s": round(first, 3),
        "second_create_s": round(own, 3),
        "bare_create_s": round(other, 3),
        "ratio": round(own / other, 2),
        "allowed_s": round(3 * other + 1, 3),
        "extra_layers": len(after - before),
        "export_mib_s": round(mib / exported, 1),
        "import_mib_s": round(mib / imported, 1),
    }


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bench mlc ") as folder:
        found = measure(Path(folder))
    print(json.dumps(found))
    within = found["second_create_s"] <= found["allowed_s"]
    return 0 if within and found["extra_layers"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
