"""Makes a lifecycle pass at another time, and dies in it where it is told to.

    lifecycle_driver.py --offset SECONDS [--die-at CALL] [--count]

`--die-at` kills this very process with SIGKILL at the so manieth call of a function of
DS01's, `--count` prints how many calls a pass makes.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import FrameType
from typing import Any

PYTHON = str(Path(__file__).resolve().parents[2] / "python")
sys.path.insert(0, PYTHON)

from ds01.core import settings  # noqa: E402
from ds01.core.paths import find_paths  # noqa: E402
from ds01.core.program import print_json  # noqa: E402
from ds01.gpus.devices.types import Inventory  # noqa: E402
from ds01.lifecycle import command  # noqa: E402
from ds01.lifecycle.pass_ import Pass  # noqa: E402

calls = 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--offset", type=float, default=0.0)
    parser.add_argument("--die-at", type=int, default=0)
    parser.add_argument("--count", action="store_true")
    words = parser.parse_args()
    offset = timedelta(seconds=words.offset)

    def count(frame: FrameType, event: str, _: Any) -> None:
        global calls  # noqa: PLW0603 - a tracer has no other place
        if event == "call" and frame.f_code.co_filename.startswith(PYTHON):
            calls += 1
            if calls == words.die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    found = Pass(
        find_paths(),
        settings.engine_address(),
        now=lambda: datetime.now(timezone.utc) + offset,
        uptime=lambda: time.clock_gettime(time.CLOCK_BOOTTIME) + words.offset,
        inventory=Inventory,
    )
    sys.setprofile(count)
    report = found.run()
    sys.setprofile(None)
    if words.count:
        print(calls)
    else:
        print_json(command.as_json(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
