"""Checks all configuration files of DS01, behind `ds01-config check`.

Reads ds01.yaml, resource-limits.yaml, packages.yaml and the site's catalog. Prints one
line `ok FILE` on stdout for each file in order, on stderr every problem of the others
and warnings; with --json one object instead. Exit status 6 if any file is not in order.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run
from ds01.doctor.config import _JOB, check_all, report


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(_JOB))
    parser.add_argument("--json", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    verdicts = check_all(find_paths())
    sound = not any(verdict.problems for verdict in verdicts)
    if words.json:
        files = [
            {
                "file": str(verdict.path),
                "ok": not verdict.problems,
                "problems": list(verdict.problems),
                "warnings": list(verdict.warnings),
            }
            for verdict in verdicts
        ]
        print_json({"ok": sound, "files": files})
    else:
        report(verdicts)
    return int(Exit.OK if sound else Exit.CONFIG)


if __name__ == "__main__":
    sys.exit(run(main, _JOB))
