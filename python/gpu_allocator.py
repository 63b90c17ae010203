"""Gives GPU devices to containers: reserve, commit, release, and who waits.

Reads the policy, the engine's containers (unfiltered) and NVML, and keeps its memory in
gpu-state.json. Every decision is made and written under the lock of the state folder,
on data that was read under it; each leaves a line in gpu-allocations.log.

Verbs (gpu_verbs.py): status, allocate, reserve, commit, release, explain, queue,
cancel, reconcile. stdout: one JSON object. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import sys

from ds01.core.program import run

if __name__ == "__main__":
    from gpu_verbs import main

    sys.exit(run(main, "gpu-allocator"))
