"""What a person is told who comes into a container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ds01.containers.containers import limits_line
from ds01.core.units import format_duration
from ds01.policy.types import Limits


def greeting_lines(
    shown: Mapping[str, Any], limits: Limits | None, coming: str
) -> list[str]:
    """Return the greeting.

    `shown` is a container with its `applied` limits, `limits` the policy's for its
    owner, `coming` what the lifecycle will do to it and when, or nothing.
    """
    lines = [
        f"container  {shown['name']}: {shown['framework']}, "
        f"GPU {shown['gpus'] or 'none'}",
        f"limits     {limits_line(shown['applied'])}",
        f"files      /workspace is {shown['workspace']} on the server and stays; "
        "the rest lives as long as the container",
        "leave      with 'exit': the container stops, unless something else runs in it",
    ]
    if coming:
        lines.append(f"next       {coming}")
    elif limits is not None and limits.idle_timeout is not None:
        lines.append(
            f"idle       it is stopped after {format_duration(limits.idle_timeout)} "
            "without work, and you are warned before"
        )
    return lines
