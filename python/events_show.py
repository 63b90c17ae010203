"""Show the event log, and with --gpus the log of GPU allocations, as it is or goes on.

Everybody sees what concerns them, root sees all. Prints a line for each event, with
--json the log's own JSON objects, one on a line. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import cache, partial

from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run
from ds01.core.table import fold
from ds01.records.log_reader import EVENTS, GPUS, log_path, read_lines
from ds01.records.window import parse_window
from ds01.show.event_words import ALLOCATIONS
from ds01.show.events import (
    _INDENT,
    PROGRAM,
    Wanted,
    follow,
    hide_others,
    hints,
    may_show_names,
    merged,
    parse_types,
    row,
    whose,
)


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    parser.add_argument("--user")
    parser.add_argument("--container")
    parser.add_argument("--type", action="append", default=[])
    parser.add_argument("--since")
    parser.add_argument("--until")
    parser.add_argument("--gpus", action="store_true")
    parser.add_argument("--follow", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    paths, caller = find_paths(), os.getuid()
    now = datetime.now(timezone.utc)
    since, until = parse_window(words.since, words.until, now)
    types = parse_types(words.type)
    wanted = Wanted(whose(words.user, caller), words.container, types)
    logs = [EVENTS]
    if words.gpus or types & ALLOCATIONS.keys():
        logs.append(GPUS)
    if words.follow:
        # As `tail -f`: what is old is shown only when it is asked for.
        events = follow(paths, logs, since or now, until)
    else:
        events = merged(
            read_lines(log_path(paths, log), since, until, hints(wanted))
            for log in logs
        )
    show_names = cache(partial(may_show_names, paths))
    for event in filter(wanted.takes, events):
        shown = event if caller == 0 else hide_others(event, caller, show_names)
        if words.json:
            print_json(shown)
        else:
            print(fold(row(shown), _INDENT))
        if words.follow:
            sys.stdout.flush()
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
