"""Show what a user uses of each limit, as bars for people or as one JSON object.

Reads the policy, the engine and the allocator's memory. Limits of one container are
compared with the user's container that uses most; quotas with the sum over all of them,
stopped ones that hold GPUs included. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.program import print_json, program_name, run
from ds01.policy.users import identify_user
from ds01.show.limits_usage import PROGRAM, read, text


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    parser.add_argument("user", nargs="?")
    parser.add_argument("--json", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    user = identify_user(os.getuid() if words.user is None else words.user)
    found = read(user)
    if words.json:
        print_json({"user": user.name, "uid": user.uid, "uses": [*map(asdict, found)]})
    else:
        print("\n".join(text(use) for use in found))
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
