"""Works out a new image or a change of one, without building anything.

`create` and `update` read what is asked for and what there is, look into the base, have
the versions worked out, and lay out in `--stage DIR` what image_build needs. stdout:
one JSON object that says what would be built and what changes. Exit statuses:
docs/exit-codes.md; 6 with `source_state` "edited" where a rendered part of the
Dockerfile was edited by hand and it must be decided what becomes of it. With `--steps`
file descriptor 3 is told what is being done: `step N/M text`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.parser import Parser
from ds01.core.program import program_name, run
from ds01.images.build.plan import Planner


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("image_plan"), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    create = verbs.add_parser("create")
    for option in ("--framework", "--version", "--dockerfile", "--project", "--arch"):
        create.add_argument(option)
    create.add_argument("--from", dest="from_")
    for option in ("--tier", "--type", "--pip", "--system", "--pip-option"):
        create.add_argument(option, action="append", default=[])
    create.add_argument("--no-tiers", action="store_true")
    update = verbs.add_parser("update")
    for option in ("--add", "--remove", "--add-system"):
        update.add_argument(option, action="append", default=[])
    update.add_argument("--base", metavar="VERSION")
    update.add_argument("--dockerfile")
    for option in ("--upgrade", "--private", "--adopt", "--render-again"):
        update.add_argument(option, action="store_true")
    for verb in (create, update):
        verb.add_argument("name")
        verb.add_argument("--stage", type=Path, required=True)
        verb.add_argument("--requirement", action="append", default=[])
        verb.add_argument("--shared", action="store_true")
        verb.add_argument("--steps", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    words.stage.mkdir(mode=0o700, parents=True, exist_ok=True)
    with Engine(settings.engine_address(), timeout=600) as engine:
        planner = Planner(words, engine)
        return planner.create() if words.verb == "create" else planner.update()


if __name__ == "__main__":
    sys.exit(run(main, "image_plan"))
