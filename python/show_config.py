"""Shows what holds for a user and why, behind `ds01-config show [USER]`.

Reads ds01.yaml, resource-limits.yaml and the host's accounts. USER is a login name or
a uid, the caller by default. stdout: tables of key, value and origin: limits, what the
policy says of the whole server, the settings of the installation; with --json one
object.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone

from ds01.core import table, units
from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run
from ds01.policy import limits, users
from ds01.show import limits as show_limits
from ds01.show.config import _JOB, exemptions_of, limit_rows, server_rows, settings_rows


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(_JOB))
    parser.add_argument("user", nargs="?", metavar="USER")
    parser.add_argument("--json", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    paths, now = find_paths(), datetime.now(timezone.utc)
    user = users.identify_user(os.getuid() if words.user is None else words.user)
    loaded = limits.load_policy(paths.policy)
    effective = limits.effective_limits(loaded, user, now)
    exemptions = exemptions_of(loaded, user, now)
    installed = settings_rows(paths)
    if words.json:
        answer = show_limits.as_rows(effective)
        answer["exemptions"] = [
            {"limit": limit, "until": until and units.format_time(until)}
            for limit, until in ((name, one.until) for name, one in exemptions.items())
        ]
        server = server_rows(loaded)
        print_json({**answer, "server": server, "settings": installed})
        return int(Exit.OK)
    print(
        f"user {user.name} ({user.uid}), group {effective.group} "
        f"({effective.group_origin}), limits of {paths.policy}"
    )
    for note in effective.notes:
        print(f"note: {note}")
    if effective.override is not None and effective.override.reason:
        print(f"reason of the override: {effective.override.reason}")
    print()
    print(table.render(["KEY", "VALUE", "ORIGIN"], limit_rows(effective, exemptions)))
    rows = [list(row.values()) for row in server_rows(loaded)]
    print(table.render(["SERVER", "VALUE", "ORIGIN"], rows))
    rows = [[str(row[key] or "") for key in row] for row in installed]
    print(table.render(["SETTING", "VALUE", "ORIGIN"], rows), end="")
    return int(Exit.OK)


if __name__ == "__main__":
    sys.exit(run(main, _JOB))
