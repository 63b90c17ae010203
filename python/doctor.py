"""Checks a server from the engine to the log, behind `ds01-doctor`.

Prints one line for each check, and for what is not in order the command that mends it;
with --json one object. Exit status: 0 if nothing is an error, else 7 if something that
DS01 needs is wrong, else 6 (only configuration or records are).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run
from ds01.doctor.checks import examine, exit_status, report


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("doctor"))
    parser.add_argument("--json", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    from ds01.doctor import probe  # noqa: PLC0415 - slow to load, the checks need it not

    words = build_parser().parse_args(argv)
    found = examine(probe.gather(find_paths()))
    status = exit_status([finding for _, finding in found])
    if words.json:
        answer = [
            {
                "check": name,
                "level": finding.level,
                "text": finding.text,
                "fix": finding.fix or None,
            }
            for name, finding in found
        ]
        print_json({"ok": status == Exit.OK, "exit": int(status), "checks": answer})
    else:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        sys.stdout.write(report(found, colour))
    return int(status)


if __name__ == "__main__":
    sys.exit(run(main, "doctor"))
