"""The memory of DS01: one record per container, and the event log.

The only program that writes below /var/lib/ds01 and /var/log/ds01. A record says who
made a container, when and how; `begin` marks a create in flight by its owner process,
so that whoever comes after a crash knows. Records are kept after removal as history.

Verbs: begin, finish, forget, removed, show, list, event. stdout: one JSON object.
Exit statuses: 0 done, 3 no such record, 4 another process is creating the container,
6 lock or record not usable, 7 state folder missing, full or not writable.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ds01.core import files
from ds01.core.errors import Exit, HelperError
from ds01.core.parser import Parser, json_object, process
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run
from ds01.records.containers import (
    begin,
    finish,
    forget,
    list_records,
    picked,
    removed,
    show,
)
from ds01.records.documents import (
    Record,
)
from ds01.records.event_log import append_event


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("state"), description=__doc__)
    parser.add_argument(
        "--lock-timeout", type=float, default=files.LOCK_SECONDS, metavar="SECONDS"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("begin", "finish", "forget", "removed", "show", "event"):
        words = verbs.add_parser(verb)
        words.add_argument("type" if verb == "event" else "container")
        if verb in {"begin", "forget"}:
            words.add_argument(
                "--owner-pid", type=process, required=verb == "begin", metavar="PID"
            )
        if verb not in {"forget", "show"}:
            words.add_argument("--json", type=json_object, default={}, dest="fields")
            # The shell need not start jq to choose and to name.
            words.add_argument("--pick", metavar="KEY[=MEMBER] …")
            words.add_argument("--set", nargs=2, action="append", default=[])
        if verb == "event":
            words.add_argument("--log", default="events")
    verbs.add_parser("list")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    paths, timeout = find_paths(), words.lock_timeout
    answer: Record
    if words.verb not in {"forget", "show", "list"}:
        if words.pick is not None:
            words.fields = picked(words.fields, words.pick)
        words.fields = words.fields | dict(words.set)
    if words.verb == "begin":
        answer = begin(paths, words.container, words.owner_pid, words.fields, timeout)
    elif words.verb == "finish":
        answer = finish(paths, words.container, words.fields, timeout)
    elif words.verb == "forget":
        answer = forget(paths, words.container, words.owner_pid, timeout)
    elif words.verb == "removed":
        answer = removed(paths, words.container, words.fields, timeout)
    elif words.verb == "show":
        answer = show(paths, words.container)
    elif words.verb == "list":
        answer = {"records": list_records(paths)}
    else:
        reserved = {"type", "time", "log", "paths", "timeout"} & set(words.fields)
        if reserved:
            name = sorted(reserved)[0]
            raise HelperError(Exit.USAGE, f"field '{name}' is not for callers to set")
        answer = append_event(
            words.type, log=words.log, paths=paths, timeout=timeout, **words.fields
        )
    print_json(answer)
    return int(Exit.OK)


if __name__ == "__main__":
    sys.exit(run(main, "state"))
