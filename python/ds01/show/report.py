"""What a report needs of this host, and where its page goes."""

from __future__ import annotations

import sys
from pathlib import Path

from ds01.core.errors import Exit, HelperError
from ds01.core.program import say

PROGRAM = "report_show"
WEEK, MONTH = 7, 30


def capacity() -> float | None:
    """Return the GPU-equivalents of this host, None where the driver does not tell."""
    from ds01.gpus.devices import inventory as devices_inventory  # noqa: PLC0415 - NVML is slow to load

    inventory = devices_inventory.read_inventory()
    if inventory.error is not None:
        return None
    return sum(d.share for d in inventory.devices if not d.mig_mode) or None


def write_page(file: str, text: str) -> None:
    """Write the page; raises HelperError(REFUSED) where that cannot be."""
    if file == "-":
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise HelperError(
            Exit.REFUSED,
            f"'{file}' cannot be written: {reason}",
            "name another file, or '-' for stdout",
        ) from error
    say("info", f"the report is in '{file}'", PROGRAM)
