"""The allocator's command line: see gpu_allocator.py."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner, owner_of
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, say
from ds01.core.units import parse_duration
from ds01.gpus.allocator import report
from ds01.gpus.allocator.allocator import Allocator
from ds01.gpus.allocator.queue_words import refusal_json
from ds01.gpus.allocator.wait import wait_for
from ds01.gpus.ledger import document
from ds01.gpus.rules.refusal import Refusal
from ds01.gpus.rules.request import parse_request
from ds01.policy.types import User
from ds01.policy.users import identify_user


def _process(text: str) -> Owner:
    owner = owner_of(int(text)) if text.isascii() and text.isdigit() else None
    if owner is None:
        raise argparse.ArgumentTypeError(f"no process '{text}'")
    return owner


def _seconds(text: str) -> float | None:
    try:
        return parse_duration(text) if text else None
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("gpu-allocator"), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name: str, *words: str) -> argparse.ArgumentParser:
        found = verbs.add_parser(name)
        for word in words:
            found.add_argument(word)
        return found

    verb("status")
    verb("reconcile")
    queue = verb("queue")
    queue.add_argument("--user")
    for name in ("reserve", "allocate"):
        words = verb(name, "container")
        words.add_argument("--request", default="default", metavar="SPEC")
        words.add_argument("--user")
        words.add_argument("--owner-pid", type=_process, metavar="PID")
        if name == "allocate":
            words.add_argument("--container-id", default="", metavar="ID")
        else:
            words.add_argument(
                "--wait", nargs="?", const="", type=str, metavar="DURATION"
            )
    verb("commit", "container", "container_id")
    words = verb("release", "container")
    words.add_argument("--reason", default="released")
    words.add_argument("--container-id", default="", metavar="ID")
    words = verb("explain")
    words.add_argument("container", nargs="?")
    words.add_argument("--request", metavar="SPEC")
    words.add_argument("--user")
    words = verb("cancel")
    words.add_argument("number", type=int, nargs="?")
    words.add_argument("--container", default="", metavar="NAME")
    words.add_argument("--user")
    return parser


def _user(words: argparse.Namespace) -> User:
    who: str | int = words.user if words.user is not None else os.getuid()
    return identify_user(who)


def _act(words: argparse.Namespace, allocator: Allocator) -> dict[str, Any]:
    desk = allocator.desk
    if words.verb == "status":
        return report.status_json(report.status(desk))
    if words.verb == "reconcile":
        events = allocator.reconcile()
        return {"changes": [{"type": kind, **fields} for kind, fields in events]}
    if words.verb == "queue":
        uid = None if words.user is None else _user(words).uid
        found = [p for p in report.places(desk) if uid in {None, p.ticket.uid}]
        return {"queue": [report.place_json(place) for place in found]}
    if words.verb == "explain":
        return _explain(words, allocator)
    if words.verb == "cancel":
        # An administrator may cancel anybody's.
        uid = None if os.getuid() == 0 and words.user is None else _user(words).uid
        if (words.number is None) == (not words.container):
            raise HelperError(Exit.USAGE, "cancel takes a number or --container")
        ticket = allocator.cancel(words.number, uid, container=words.container)
        return document.ticket_json(ticket)
    if words.verb == "commit":
        grant = allocator.commit(words.container, words.container_id)
    elif words.verb == "release":
        grant = allocator.release(
            words.container, words.reason, container_id=words.container_id
        )
    else:
        grant = _reserve(words, allocator)
    return {"grant": None if grant is None else document.grant_json(grant)}


def _reserve(words: argparse.Namespace, allocator: Allocator) -> document.Grant:
    user, request = _user(words), parse_request(words.request)
    # This process ends at once: what it reserves belongs to whoever called it.
    owner = words.owner_pid or owner_of(os.getppid())
    if words.verb == "allocate":
        return allocator.allocate(
            user,
            request,
            words.container,
            container_id=words.container_id,
            owner=owner,
        )
    if words.wait is None:
        return allocator.reserve(user, request, words.container, owner)

    def tell(text: str) -> None:
        say("info", text, "gpu-allocator")

    limit = _seconds(words.wait)
    return wait_for(allocator, user, request, words.container, limit, tell, owner)


def _explain(words: argparse.Namespace, allocator: Allocator) -> dict[str, Any]:
    if (words.container is None) == (words.request is None):
        raise HelperError(
            Exit.USAGE,
            "explain takes a container or --request",
            "run 'gpu-explain --request 1' to see what you would get now",
        )
    if words.request is not None:
        request = parse_request(words.request)
        return report.explain_request(allocator.desk, _user(words), request)
    answer = report.explain_container(allocator.desk, words.container)
    if not answer["found"]:
        raise HelperError(
            Exit.NOT_FOUND,
            f"nothing is known of container '{words.container}'",
            "run 'gpu-status' to see who has what",
        )
    return answer


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    paths = find_paths()
    allocator = Allocator(paths, _engine_address())
    try:
        print_json(_act(words, allocator))
    except Refusal as refusal:
        print_json({"refused": refusal_json(refusal)})
        raise
    return int(Exit.OK)


def _engine_address() -> str:
    """Return where the engine is; ds01.yaml may be missing."""
    from ds01.core import settings  # noqa: PLC0415 - YAML takes its time to load

    if find_paths().settings.exists():
        return settings.engine_address()
    return settings.engine_address(settings.Settings())
