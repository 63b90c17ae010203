"""Makes one lifecycle pass: warns of what idles, stops it, gives GPUs back, removes.

Cron runs it every minute as root. Prints what it decided, with --json one JSON object;
with --dry-run it decides only. Exit statuses: 0 done, or another pass is at work; 6 or
7 where nothing was done because policy, state, engine or NVML cannot be used.
"""

# ruff: noqa: E402 - the first statements save a tenth of a pass: it is over before
# anything could be collected, and most of what is loaded stays.
from __future__ import annotations

import gc

gc.disable()

import argparse
import os
import sys
from collections.abc import Sequence

from ds01.core import settings
from ds01.core.errors import Exit, HelperError
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, report, run, say
from ds01.lifecycle.command import PROGRAM, as_json, show, without_memory
from ds01.lifecycle.extras import run_extras
from ds01.lifecycle.pass_ import Pass


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    # What the pass starts, and what it writes, is not for everybody's eyes.
    os.umask(0o022)
    paths, address = find_paths(), settings.engine_address()
    try:
        found = Pass(paths, address, dry_run=args.dry_run).run()
    except HelperError as error:
        found = without_memory(paths, error)
    else:
        if not args.dry_run and not found.is_busy:
            run_extras(paths, address, found)
    if args.json:
        print_json(as_json(found))
    if found.skipped is not None:
        # Cron would send a mail each minute.
        if found.is_new or not args.quiet:
            return report(found.skipped, PROGRAM)
        return int(found.skipped.code)
    if found.is_busy and not args.quiet:
        say("info", "another pass is at work", PROGRAM)
    elif not (args.json or args.quiet):
        show(found, dry_run=args.dry_run)
    return int(Exit.OK)


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
