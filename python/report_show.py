"""Show who got how much of the GPUs: a table, JSON, CSV, or one HTML page.

Everybody sees their own figures and those of groups; root sees everybody's, and so does
everybody where the policy's `show_names` says so. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone

from ds01.core.errors import Exit, HelperError
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run, say
from ds01.records.window import parse_window
from ds01.show.events import may_show_names
from ds01.show.report import MONTH, PROGRAM, WEEK, capacity, write_page
from ds01.usage import words as usage_words
from ds01.usage.report import default_window, for_user, make


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--week", action="store_true")
    length.add_argument("--month", action="store_true")
    length.add_argument("--since")
    parser.add_argument("--until")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--html", metavar="FILE")
    form.add_argument("--json", action="store_true")
    form.add_argument("--csv", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    paths, uid = find_paths(), os.getuid()
    now = datetime.now(timezone.utc)
    since, until = parse_window(words.since, words.until, now)
    days = MONTH if words.month else WEEK
    begin, end = default_window(now, since, until, days)
    if begin >= end:
        raise HelperError(
            Exit.USAGE,
            f"'--since {words.since}' has not come yet",
            "give an earlier time",
        )
    report = make(paths, begin, end, capacity())
    if uid != 0 and not may_show_names(paths):
        report = for_user(report, uid)
    if words.json:
        print_json(usage_words.as_object(report))
    elif words.csv:
        sys.stdout.write(usage_words.as_csv(report))
    elif words.html is not None:
        from ds01.usage import html as usage_html  # noqa: PLC0415 - matplotlib is slow to load

        write_page(words.html, usage_html.page(report))
    else:
        for note in report.notes:
            say("info", note, PROGRAM)
        sys.stdout.write(usage_words.text(report))
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
