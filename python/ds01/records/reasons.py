"""Why a container was stopped or removed, in the words of the log."""

from __future__ import annotations

from ds01.lifecycle.types import (
    CREATED,
    DEMAND,
    HOLD,
    IDLE,
    REMOVAL,
    RESERVATION,
    RUNTIME,
)

WHY = {
    IDLE: "idle",
    DEMAND: "idle, and others wait for its GPUs",
    RUNTIME: "longest run time",
    RESERVATION: "its GPUs are reserved",
    HOLD: "stopped",
    REMOVAL: "stopped",
    CREATED: "never started",
}
