"""Builds what image_plan laid out: image, lock and source, or nothing of the three.

The image gets its name when it is built and looked into; until then, and where
anything fails or is interrupted, the image of that name and the source stay as they
were. Only the source of the very first build is written in any case, so that nothing
typed is lost. Progress goes to file descriptor 3, if open: `step N/M text`.

stdout: one JSON object. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ds01.core.errors import Exit, HelperError
from ds01.core.parser import Parser
from ds01.core.program import print_json, program_name, run
from ds01.images.build.build import _MADE_BY, _leave, _log_event, _write_source, build
from ds01.images.build.docker import PROGRAM
from ds01.images.build.stage import read_stage
from ds01.images.shelf.turn import hold


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    parser.add_argument("--stage", type=Path, required=True)
    parser.add_argument("--no-cache", action="store_true")
    parser.add_argument("--no-build", action="store_true", help="write the source only")
    parser.add_argument("--log", metavar="FILE")
    parser.add_argument("--made-by", choices=_MADE_BY, default="image-create")
    words = parser.parse_args(argv)
    plan = read_stage(words.stage)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    with hold(plan.name):
        if words.no_build:
            _write_source(plan, words.stage, None)
            value = {"reference": plan.reference, "id": None, "folder": plan.folder}
            print_json({**value, "built": False})
            return Exit.OK
        try:
            print_json(build(words.stage, plan, words))
        except BaseException as error:
            left = isinstance(error, KeyboardInterrupt)
            why = "interrupted" if left else getattr(error, "message", repr(error))
            if plan.is_first:
                with contextlib.suppress(HelperError):
                    _write_source(plan, words.stage, None)
            _log_event("image-failed", plan, reason=why)
            raise
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
