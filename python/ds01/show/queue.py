"""The queue for GPUs, and why a container has what it has, for people and programs."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ds01.containers.containers import choices, select
from ds01.core import settings, table
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.labels import MLC
from ds01.core.program import print_json, say
from ds01.core.text import age, nearest
from ds01.gpus.allocator import report
from ds01.gpus.allocator.allocator import Allocator
from ds01.gpus.allocator.queue_words import name_of
from ds01.gpus.allocator.report import Place
from ds01.gpus.rules.request import parse_request
from ds01.policy.users import identify_user

PROGRAM = "gpu_show"


def queue_rows(
    places: Sequence[Place], uid: int, now: datetime, *, show_names: bool = False
) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the queue.

    Other people are shown in kind only, unless the policy shows names.
    """
    header = ["PLACE", "REQUEST", "PRIORITY", "WAITING", "USER", "CONTAINER", "NEEDS"]
    rows = []
    for place in places:
        ticket = place.ticket
        is_named = show_names or uid in (ticket.uid, 0)
        rows.append(
            [
                str(place.position),
                ticket.request,
                str(ticket.priority),
                age((now - ticket.since).total_seconds()),
                ticket.user if is_named else "",
                name_of(ticket.container) if is_named else "",
                place.words.rpartition("needed: ")[2]
                if "needed: " in place.words
                # The words of a place say more than its number only after a ';'.
                else place.words.partition("; ")[2],
            ]
        )
    return header, rows


def tell_silent(nvml: str | None, engine: str | None) -> None:
    """Say what did not answer: then what is shown is what is remembered."""
    if nvml:
        say("info", f"the NVIDIA driver does not answer: {nvml}", PROGRAM)
    if engine:
        say("info", f"the engine does not answer: {engine}", PROGRAM)


def show_queue(words: argparse.Namespace, allocator: Allocator) -> int:
    """Print who waits, in the order in which they will be served."""
    uid = os.getuid()
    found = report.waiting(allocator.desk)
    places: Sequence[Place] = found.places
    if words.mine:
        places = [place for place in places if place.ticket.uid == uid]
    # A broken policy hides nothing of an empty queue.
    show_names = bool(places) and allocator.desk.policy().allocation.show_names
    if words.json:
        # Whose process it is helps nobody else, whatever the policy shows.
        hidden = ["owner"] if show_names else ["user", "uid", "container", "owner"]
        shown = []
        for place in places:
            value = report.place_json(place)
            if uid not in (0, place.ticket.uid):
                for key in hidden:
                    value.pop(key, None)
            shown.append(value)
        print_json({"queue": shown, "nvml": found.nvml, "engine": found.engine})
        return Exit.OK
    tell_silent(found.nvml, found.engine)
    if not places:
        say("info", "nobody waits" if not words.mine else "you wait for none", PROGRAM)
        return Exit.OK
    now = datetime.now(timezone.utc)
    sys.stdout.write(table.render(*queue_rows(places, uid, now, show_names=show_names)))
    return Exit.OK


def cancel(words: argparse.Namespace, allocator: Allocator) -> int:
    """Take the caller's request for a container out of the queue."""
    uid = os.getuid()
    for place in report.waiting(allocator.desk).places:
        if place.ticket.uid == uid and place.ticket.container == words.container:
            allocator.cancel(place.ticket.number, uid)
            return Exit.OK
    raise HelperError(
        Exit.NOT_FOUND,
        f"no request of yours for '{name_of(words.container)}' waits",
        "run 'gpu-queue --mine' to see what you wait for",
    )


def number(value: float | None) -> str:
    """Return a number with at most two decimals; no limit is `unlimited`."""
    return "unlimited" if value is None else f"{round(value, 2):.10g}"


def request_lines(answer: Mapping[str, Any]) -> list[str]:
    """Return what a request would get, for people."""
    lines = [f"request   {answer['request']} of {answer['user']}"]
    if answer.get("granted"):
        devices = answer.get("devices") or ["a container without GPU"]
        lines.append(f"would get {', '.join(devices)}")
    elif "words" in answer:
        lines.append(f"would wait: {answer['words']}")
    else:
        lines.append(f"refused   {answer['message']}")
        if answer.get("rule"):
            have, limit = answer.get("have"), answer.get("limit")
            known = have is not None and limit is not None
            numbers = f": {number(have)} of {number(limit)}" if known else ""
            lines.append(f"rule      {answer['rule']}{numbers}")
        if answer.get("hint"):
            lines.append(f"hint      {answer['hint']}")
    if strategy := answer.get("strategy"):
        lines.append(f"placement {strategy}, {len(answer.get('free', []))} free")
    for quota, (used, most) in sorted((answer.get("quotas") or {}).items()):
        lines.append(f"quota     {quota}: {number(used)} of {number(most)}")
    return lines


def listed(value: object) -> str:
    """Return a value of the log in words."""
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)


def container_lines(answer: Mapping[str, Any]) -> list[str]:
    """Return the story of a container's GPUs, for people."""
    lines = [f"container {name_of(str(answer['container']))}"]
    grant = answer.get("grant")
    if grant:
        lines.append(
            f"has       {grant['state']} since {grant['since']} "
            f"for the request '{grant['request']}'"
        )
        for device in answer["devices"]:
            why = f" ({device['why']})" if device["why"] else ""
            lines.append(f"device    {device['uuid']}: {device['state']}{why}")
    elif not answer["waiting"]:
        lines.append("has       no GPU")
    lines += [f"waits     {place['words']}" for place in answer["waiting"]]
    for entry in answer["log"]:
        what = ", ".join(
            f"{key} {listed(entry[key])}"
            for key in ("request", "devices", "reason", "message", "strategy")
            if entry.get(key)
        )
        lines.append(
            f"log       {entry.get('time', '')} {entry.get('type', '')} {what}"
        )
    return lines


def near_container(name: str) -> str | None:
    """Return the caller's container that a name most likely meant, None for none."""
    with contextlib.suppress(HelperError):
        with Engine(settings.engine_address()) as engine:
            own = select(engine.containers([MLC]), os.getuid())
        close = nearest(name, [item.name for item in own])
        return None if close == name else close
    return None


def explain(words: argparse.Namespace, allocator: Allocator) -> int:
    """Print why a container has what it has, or what a request would get."""
    if words.request is not None:
        user = identify_user(os.getuid())
        try:
            request = parse_request(words.request)
        except HelperError as error:
            # What is written for container-create, as gpu-explain has it.
            hint = (error.hint or "").replace("--gpu-mem ", "--request mem=")
            error.hint = hint.replace("--gpus ", "--request ")
            raise
        answer = report.explain_request(allocator.desk, user, request)
        lines = request_lines
    else:
        answer = report.explain_container(allocator.desk, words.container)
        if not answer["found"]:
            name = name_of(words.container)
            close = near_container(name)
            raise HelperError(
                Exit.NOT_FOUND,
                f"nothing is known of GPUs for '{name}'",
                f"did you mean '{close}'?"
                if close
                else "run 'container-list' to see your containers",
            )
        lines = container_lines
    if words.json:
        print_json(answer)
    else:
        tell_silent(answer.get("nvml"), answer.get("engine"))
        print("\n".join(lines(answer)))
    return Exit.OK


def offer(_words: argparse.Namespace, allocator: Allocator) -> int:
    """Print for a menu the caller's containers that have GPUs or wait for some."""
    uid = os.getuid()
    with Engine(settings.engine_address()) as engine:
        rows = choices(engine, lambda item: bool(item.devices))
    texts = {row["name"]: row["text"] for row in rows}
    for place in report.waiting(allocator.desk).places:
        if place.ticket.uid == uid:
            texts[name_of(place.ticket.container)] = f"waits: {place.words}"
    offered = [{"name": name, "text": text} for name, text in sorted(texts.items())]
    print_json({"containers": offered})
    return Exit.OK
