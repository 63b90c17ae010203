"""Tell the story of one container: what was done to it, by which rule, what comes next.

Reads its record, both logs across rotation, the lifecycle's memory and, if it answers,
the engine; also of containers that are gone. NAME is the owner's word, or the engine's.
Everybody is told of their own containers, root of all. Prints lines for people, with
--json one JSON object. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone

from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run, say
from ds01.core.table import plain as printable
from ds01.show.story import PROGRAM, gather
from ds01.show.telling import as_object, lines_of


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    parser.add_argument("container", metavar="NAME")
    parser.add_argument("--json", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    now = datetime.now(timezone.utc)
    story = gather(find_paths(), words.container, os.getuid())
    if words.json:
        print_json(as_object(story, now))
        return Exit.OK
    if story.engine:
        say("info", f"the engine does not answer: {story.engine}", PROGRAM)
    if story.state != "removed":
        for note in story.notes:
            say("info", note, PROGRAM)
    # A log is what others may have written into.
    print("\n".join(map(printable, lines_of(story, now))))
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
