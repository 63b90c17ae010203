"""Plan the making of a container before mlc is called, and finish it afterwards.

Reads settings, policy, catalog, images, the engine and NVML. `plan` prints the settings
(as settings.py does) and what mlc is to be called with: `framework`, `version`, `arch`,
`image`, `gpus`, the folders; it lays out the overlay from which mlc is started, and
begins the container's record. With --or-existing a container that is there is printed
instead (`exists`, `container`); `lacks_image` where nothing says what it is made of.
`make` runs mlc behind the gateway and writes what the engine made to a file, with
--summary also as text for people; refusals go to another. `abandon` clears up
after a create that failed. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ds01.core.errors import Exit
from ds01.core.parser import Parser, process
from ds01.core.program import print_json, program_name, run
from ds01.lifecycle import making


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("container_create"), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    words = verbs.add_parser("plan")
    words.add_argument("name")
    words.add_argument("--owner-pid", type=process, required=True, metavar="PID")
    words.add_argument("--overlay", type=Path, metavar="DIR")
    for option in ("framework", "version", "image", "arch", "otherwise", "file"):
        words.add_argument(f"--{option}")
    for option in ("gpus", "gpu-mem", "wait", "workspace", "data", "models"):
        words.add_argument(f"--{option}")
    for option in ("dry-run", "or-existing"):
        words.add_argument(f"--{option}", action="store_true")
    words = verbs.add_parser("make")
    words.add_argument("name")
    words.add_argument("--image")
    words.add_argument("--summary", action="store_true")
    for option in ("report", "made"):
        words.add_argument(f"--{option}", type=Path, required=True, metavar="FILE")
    words.add_argument("command", nargs="+", metavar="-- MLC…")
    words = verbs.add_parser("abandon")
    words.add_argument("container")
    words.add_argument("--owner-pid", type=process, required=True, metavar="PID")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    if words.verb == "plan":
        from ds01.lifecycle import planning  # noqa: PLC0415 - the allocator, the catalog

        print_json(planning.plan(words))
    elif words.verb == "make":
        return making.make(words)
    else:
        print_json(making.abandon(words.container, words.owner_pid))
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, "container_create"))
