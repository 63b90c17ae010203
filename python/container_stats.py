"""Show what running containers use, against their limits.

Reads the engine only; prints a table for people, with --json one JSON object.
Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ds01.containers.stats import show_stats
from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.parser import Parser
from ds01.core.program import program_name, run


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("container_stats"), description=__doc__)
    parser.add_argument("--all-users", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    with Engine(settings.engine_address()) as engine:
        return show_stats(engine, words)


if __name__ == "__main__":
    sys.exit(run(main, "container_stats"))
