"""Prints the effective limits of a user, from the policy file.

Reads resource-limits.yaml and the host's accounts. USER is a login name or a uid, the
caller by default. stdout is one JSON object: user, uid, group, and

- `limits`: typed, sizes in bytes, durations in seconds, null for unlimited,
- `text`: the same as the policy file writes them, `unlimited` for null.

--origin prints user, group and a list of rows instead: key, value, origin, place.
--usage adds `usage` to the JSON: what the user's containers use now of each limit.
--docker-args prints one line of flags for `docker create`, quoted for a shell.
--room CONTAINER prints nothing: it fails where the user may make no other container.
Exit statuses: 0 done, 3 no such user, 4 no group takes the user, or no room, 6 policy
broken, 7 no engine answers (--room, --usage).
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone

from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run
from ds01.policy import limits as policy_limits
from ds01.policy import users
from ds01.show.limits import as_json, as_rows, check_room, docker_args


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("get_resource_limits"))
    parser.add_argument("user", nargs="?", metavar="USER")
    forms = parser.add_mutually_exclusive_group()
    for form in ("json", "docker-args", "origin", "usage"):
        forms.add_argument(f"--{form}", dest="form", action="store_const", const=form)
    forms.add_argument("--room", metavar="CONTAINER")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    user = users.identify_user(os.getuid() if words.user is None else words.user)
    loaded = policy_limits.load_policy(find_paths().policy)
    effective = policy_limits.effective_limits(loaded, user, datetime.now(timezone.utc))
    if words.room is not None:
        check_room(user, effective.limits, words.room)
    elif words.form == "docker-args":
        print(shlex.join(docker_args(effective.limits)))
    elif words.form == "origin":
        print_json(as_rows(effective))
    elif words.form == "usage":
        from ds01.show import limits_usage  # noqa: PLC0415 - asks the engine and NVML, only here

        used = [asdict(use) for use in limits_usage.read(user)]
        print_json({**as_json(effective), "usage": used})
    else:
        print_json(as_json(effective))
    return int(Exit.OK)


if __name__ == "__main__":
    sys.exit(run(main, "get_resource_limits"))
