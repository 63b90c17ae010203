"""Give a stopped container its GPUs back before it is started.

The same devices if it still has them or they are free; otherwise others that its
request allows, for which it is made anew (allocator/rehome.py). Reads engine, NVML and
policy; prints one JSON object: `moved`, and the `devices` it has now. Exit statuses:
docs/exit-codes.md; 5 where none is free.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence

from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run
from ds01.gpus.allocator import rehome
from ds01.gpus.allocator.allocator import Allocator
from ds01.gpus.allocator.start import PROGRAM, start, turn
from ds01.gpus.rules.request import parse_wait


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    parser.add_argument("container")
    parser.add_argument("--owner-pid", type=int)
    parser.add_argument("--wait", metavar="DURATION")
    parser.add_argument("--request", metavar="SPEC")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    if words.wait is not None:
        parse_wait(words.wait)
    address = settings.engine_address()
    allocator = Allocator(find_paths(), address)
    with Engine(address) as engine:
        with turn(words.container):
            rehome.recover(engine, words.container)
        # A wait may take hours, in which nobody else need stand in line for the lock.
        is_waiting = words.wait is not None
        with contextlib.nullcontext() if is_waiting else turn(words.container):
            started = start(words, engine, allocator)
    devices = [] if started.grant is None else list(started.grant.uuids)
    print_json({"moved": started.moved, "devices": devices})
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
