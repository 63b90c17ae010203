"""Greet somebody who opens a shell in a container: what it is, and how it works here.

Prints a few lines for people. What cannot be found out is left out: a greeting never
keeps anybody from their work. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone

from ds01.containers.containers import applied_limits, find_own
from ds01.containers.greeting import greeting_lines
from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import program_name, run
from ds01.policy.limits import effective_limits, load_policy
from ds01.policy.users import identify_user
from ds01.records import outlooks


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog=program_name("container_greeting"),
        description=__doc__,
    )
    parser.add_argument("name")
    words = parser.parse_args(argv)
    now = datetime.now(timezone.utc)
    paths = find_paths()
    with Engine(settings.engine_address()) as engine:
        item = find_own(engine, words.name, os.getuid())
        details = engine.container(item.id) or {}
    limits = None
    with contextlib.suppress(HelperError):
        policy = load_policy(paths.policy)
        limits = effective_limits(policy, identify_user(os.getuid()), now).limits
    outlook = outlooks.outlooks(paths).get(item.container)
    coming = "" if outlook is None else outlook.words(now)
    shown = {**item._asdict(), "applied": applied_limits(details)}
    print("\n".join(greeting_lines(shown, limits, coming)))
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, "container_greeting"))
