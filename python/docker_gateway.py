"""The Docker API gateway: policy in front of the engine's socket.

`run -- COMMAND…` starts COMMAND with DOCKER_HOST naming a private socket, on which this
process serves the Docker API under policy until COMMAND ends. COMMAND keeps terminal,
process group and signals as if it ran alone; its status is returned (128 + n for a
signal, 126 and 127 as the shell has them). If this process is killed, COMMAND gets
SIGTERM. When it is interrupted or to end, its requests leave the queue for GPUs.

With `--report FILE` the last refusal is written to FILE as one JSON object (code,
message, hint), since COMMAND turns every failure into a status of its own.

Reads: the engine's address (`--engine`, else DOCKER_HOST, else the default socket);
with the first request to make a container also the policy and the settings. Writes
notes on stderr, nothing on stdout. Exit statuses of its own: 2, 7.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ds01.core.errors import Exit, HelperError
from ds01.core.parser import Parser
from ds01.core.program import program_name, run
from ds01.gateway.command import PROGRAM, engine_path, run_command


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=program_name(PROGRAM),
        description="Put policy in front of the Docker engine.",
    )
    parser.add_argument("--engine", metavar="ADDRESS", help="the engine: unix:///PATH")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser(
        "run",
        help="run one command behind a gateway of its own",
    )
    verb.add_argument("--report", type=Path, metavar="FILE", help="where refusals go")
    verb.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND…")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(argv)
    command = options.command
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        raise HelperError(
            Exit.USAGE, "no command is given", f"type '{PROGRAM} run -- docker ps'"
        )
    return run_command(command, engine_path(options.engine, os.environ), options.report)


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
