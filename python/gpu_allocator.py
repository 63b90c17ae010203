"""Gives GPU devices to containers: reserve, commit, release, and who waits.

Reads the policy, the engine's containers (unfiltered) and NVML, and keeps its memory in
gpu-state.json. Every decision is made and written under the lock of the state folder,
on data that was read under it; each leaves a line in gpu-allocations.log.

Verbs: reserve, commit, release, status, queue. stdout: one JSON object; a refusal is
one too, as `refused`. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial

from ds01.core import settings
from ds01.core.errors import Exit
from ds01.core.owner import owner_of
from ds01.core.parser import Parser, process
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run, say
from ds01.gpus.allocator import report
from ds01.gpus.allocator.allocator import Allocator
from ds01.gpus.allocator.queue_words import refusal_json
from ds01.gpus.allocator.wait import wait_for
from ds01.gpus.ledger.document import grant_json
from ds01.gpus.rules.refusal import Refusal
from ds01.gpus.rules.request import parse_request, parse_wait
from ds01.policy.users import identify_user

_PROGRAM = "gpu-allocator"


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(_PROGRAM), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("status")
    verbs.add_parser("queue")
    words = verbs.add_parser("reserve")
    words.add_argument("container")
    words.add_argument("--request", default="default", metavar="SPEC")
    words.add_argument("--user")
    words.add_argument("--owner-pid", type=process, metavar="PID")
    words.add_argument("--wait", nargs="?", const="", metavar="DURATION")
    words = verbs.add_parser("commit")
    words.add_argument("container")
    words.add_argument("container_id")
    words = verbs.add_parser("release")
    words.add_argument("container")
    words.add_argument("--reason", default="released")
    words.add_argument("--container-id", default="", metavar="ID")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    allocator = Allocator(find_paths(), settings.engine_address())
    if words.verb == "status":
        print_json(report.status_json(report.status(allocator.desk)))
        return Exit.OK
    if words.verb == "queue":
        places = report.waiting(allocator.desk).places
        print_json({"queue": [report.place_json(place) for place in places]})
        return Exit.OK
    name = words.container
    try:
        if words.verb == "commit":
            grant = allocator.commit(name, words.container_id)
        elif words.verb == "release":
            grant = allocator.release(
                name, words.reason, container_id=words.container_id
            )
        else:
            user = identify_user(os.getuid() if words.user is None else words.user)
            request = parse_request(words.request)
            # This process ends at once: what it reserves is its caller's.
            owner = words.owner_pid or owner_of(os.getppid())
            if words.wait is None:
                grant = allocator.reserve(user, request, name, owner)
            else:
                limit = parse_wait(words.wait)
                tell = partial(say, "info", fallback=_PROGRAM)
                grant = wait_for(allocator, user, request, name, limit, tell, owner)
    except Refusal as refusal:
        print_json({"refused": refusal_json(refusal)})
        raise
    print_json({"grant": None if grant is None else grant_json(grant)})
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, _PROGRAM))
