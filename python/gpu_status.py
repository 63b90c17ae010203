"""Show every GPU device: its state, who has it, what runs on it, since and until when.

Reads engine, NVML and the allocator's memory; changes nothing. Prints a table for
people, with --json one JSON object. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone

from ds01.core import settings, table
from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run, say
from ds01.gpus.allocator.allocator import Allocator
from ds01.gpus.allocator.report import state_json, status
from ds01.gpus.devices.inventory import read_inventory
from ds01.records.outlooks import present
from ds01.show.gpus import HEADER, PROGRAM, notes, row


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    parser.add_argument("--mine", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    allocator = Allocator(
        find_paths(),
        settings.engine_address(),
        # Figures that no decision needs.
        inventory=lambda: read_inventory(detail=True),
    )
    found = status(allocator.desk)
    states = [
        state
        for state in found.devices
        if not words.mine or (state.grant and state.grant.uid == os.getuid())
    ]
    if words.json:
        print_json(
            {
                "devices": [state_json(state) for state in states],
                "waiting": len(found.queue),
                "nvml": found.nvml,
                "engine": found.engine,
            }
        )
        return Exit.OK
    if states:
        now = datetime.now(timezone.utc)
        outlooks, _ = present(find_paths(), now)
        rows = [row(state, now, outlooks) for state in states]
        sys.stdout.write(table.render(HEADER, rows))
    elif not found.nvml:
        what = "none of your containers has a GPU" if found.devices else "no GPU here"
        say("info", what, PROGRAM)
    for text in notes(found, states):
        say("info", text, PROGRAM)
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
