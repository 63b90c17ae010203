"""Why a container was stopped or removed, in the words of the log."""

from __future__ import annotations

IDLE = "idle_timeout"
DEMAND = "demand"
RUNTIME = "max_runtime"
RESERVATION = "reservation"
HOLD = "gpu_hold_after_stop"
REMOVAL = "container_hold_after_stop"
CREATED = "created_timeout"

WHY = {
    IDLE: "idle",
    DEMAND: "idle, and others wait for its GPUs",
    RUNTIME: "longest run time",
    RESERVATION: "its GPUs are reserved",
    HOLD: "stopped",
    REMOVAL: "stopped",
    CREATED: "never started",
}
