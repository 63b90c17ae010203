"""The gateway's policy: what becomes of a request to make a container. Pure functions.

`rewrite_create(request, caller, limits, host, site, now=…)` takes a create request in
the engine's own terms (gateway_json.canonical) and returns what goes to the engine,
with notes on what was changed, or raises RefusalError. The caller's limits come from
the policy file; everything that a container can be given is decided here, in
limits.py (how much) and confine.py (what).
"""

from __future__ import annotations

import copy
import re
from datetime import datetime, timezone
from typing import Any

from ds01.core.labels import ASIDE
from ds01.gateway import confine, json_body
from ds01.gateway import limits as gateway_limits
from ds01.gateway.types import (
    Caller,
    HostFacts,
    Limits,
    Notes,
    RefusalError,
    Rewrite,
    Site,
    not_allowed,
)
from ds01.gpus.ledger.device_request import NO_GPUS, Create, Gpus

_MLC_GPUS = "aime.mlc.GPUS"
_MLC_NAME = re.compile(r"[\w#-]+\._\.\d+")
# Records are files of that name, of 200 characters at most; -moving is to have room.
_LONGEST_NAME = 190
# Lists show these as the container's user.
_MLC_USERS = ("aime.mlc", "aime.mlc.USER")
_UID_IN_NAME = re.compile(r"\._\.(\d+)")


def read_create(body: bytes) -> tuple[Create, list[str]]:
    """Return a create request in canonical form, and unknown fields that are left out.

    Raises gateway_json.MalformedError where the engine and others could read the body
    in different ways.
    """
    return json_body.canonical(json_body.parse(body), json_body.CREATE)


def rewrite_create(
    request: Create,
    caller: Caller,
    limits: Limits,
    host: HostFacts,
    site: Site,
    *,
    now: datetime,
    gpus: Gpus = NO_GPUS,
    name: str = "",
    unknown: tuple[str, ...] = (),
) -> Rewrite:
    """Return a create request within the caller's limits, labelled, and the notes.

    `gpus` is what the allocator granted, `name` the container's name as asked for,
    `unknown` the fields that `read_create` left out. Raises RefusalError for what
    policy does not allow.
    """
    check_name(name, caller)
    create = copy.deepcopy(request)
    config: dict[str, Any] = create.setdefault("HostConfig", {})
    labels: dict[str, str] = create.get("Labels", {})
    notes = Notes(is_mlc="aime.mlc" in labels or bool(_MLC_NAME.fullmatch(name)))
    if unknown:
        notes.tell("unknown", f"fields left out: {', '.join(unknown[:8])}")
    confine.apply(create, caller, limits, host, site, gpus=gpus, notes=notes)
    applied = gateway_limits.apply(config, limits, host, site, notes)
    _cgroup(config, caller, host, site, notes)
    create["Labels"] = _labels(labels, caller, applied, gpus, now, notes)
    return Rewrite(create, tuple(dict.fromkeys(notes)))


def check_name(name: str, caller: Caller) -> None:
    """Check what a container is to be called. Raises RefusalError.

    `NAME._.UID` says whose a container is: only root gives names with others' UIDs.
    """
    if len(name) > _LONGEST_NAME:
        raise RefusalError(
            "name",
            f"container name '{name[:20]}…' has {len(name)} characters",
            f"choose a name of {_LONGEST_NAME} characters at most",
        )
    others = {uid for uid in _UID_IN_NAME.findall(name) if uid != str(caller.uid)}
    if caller.uid and others:
        raise RefusalError(
            "name",
            f"container name '{name}' has another user's number in it",
            f"end it in '._.{caller.uid}', or leave out '._.{min(others)}'",
        )
    if name.endswith(ASIDE):
        raise RefusalError(
            "name",
            f"container name '{name}' ends in '{ASIDE}', which is kept for "
            "containers that move to other GPUs",
            f"choose another name, such as '{name.removesuffix(ASIDE) or 'job'}'",
        )


def _cgroup(
    config: dict[str, Any], caller: Caller, host: HostFacts, site: Site, notes: Notes
) -> None:
    """Put the container under its user's cgroup, in the form of the engine's driver."""
    if config.pop("CgroupParent", ""):
        notes.warn("cgroup", "the cgroup parent is set by policy: yours is left out")
    parent = cgroup_parent(caller, host, site)
    if parent is None:
        notes.quiet("cgroup", "no cgroup_parent is configured: left to the engine")
    else:
        config["CgroupParent"] = parent


def cgroup_parent(caller: Caller, host: HostFacts, site: Site) -> str | None:
    """Return the parent of a user's cgroups, or None where none is configured."""
    if not site.cgroup_parent:
        return None
    if host.cgroup_driver == "systemd":
        stem = site.cgroup_parent.strip("/").removesuffix(".slice").replace("/", "-")
        return f"{stem}-u{caller.uid}.slice"
    return f"/{site.cgroup_parent.strip('/')}/u{caller.uid}"


def _labels(  # noqa: PLR0917 - one caller, which has them all
    asked: dict[str, str],
    caller: Caller,
    applied: dict[str, str],
    gpus: Gpus,
    now: datetime,
    notes: Notes,
) -> dict[str, str]:
    """Return the labels: the client's, but for DS01's own, which nobody else writes.

    AIME's list splits all labels at commas, and needs a value: no comma, never empty.
    """
    kept = {
        key: value
        for key, value in asked.items()
        if not key.lower().startswith("ds01.") and key.lower() != "ds01"
    }
    created = now.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    own = {
        "ds01.managed": "1",
        "ds01.user": caller.name.replace(",", "_") or str(caller.uid),
        "ds01.uid": str(caller.uid),
        "ds01.created": created,
    }
    own.update(gpus.labels)
    if _MLC_GPUS in kept:
        # mlc puts docker's words there as they are, commas and all.
        kept[_MLC_GPUS] = gpus.labels.get("ds01.gpu.request", "none")
    for key in _MLC_USERS:
        # Root makes containers for others.
        if caller.uid and kept.get(key, own["ds01.user"]) != own["ds01.user"]:
            notes.quiet("label", f"label '{key}' is the caller's name, not another's")
            kept[key] = own["ds01.user"]
    own.update({f"ds01.limit.{what}": value for what, value in applied.items()})
    return {**kept, **own}


def limit_build(
    config: dict[str, Any], limits: Limits, host: HostFacts, site: Site
) -> dict[str, Any]:
    """Return the limits of a classic build's containers, as a HostConfig has them."""
    limited = dict(config)
    gateway_limits.apply(limited, limits, host, site, Notes(is_mlc=True))
    return limited


def check_exec(body: bytes) -> tuple[bytes, list[str]]:
    """Return an exec request as it goes to the engine. Raises RefusalError."""
    request, unknown = json_body.canonical(json_body.parse(body), json_body.EXEC)
    if request.pop("Privileged", False):
        raise not_allowed("privileged", "privileged processes are", "--privileged")
    return json_body.encode(request), unknown


def check_volume(
    body: bytes, caller: Caller, host: HostFacts, site: Site
) -> tuple[bytes, list[str]]:
    """Return a volume request as it goes to the engine. Raises RefusalError."""
    request, unknown = json_body.canonical(json_body.parse(body), json_body.VOLUME)
    confine.check_volume(
        request.get("Driver", ""),
        request.get("DriverOpts", {}),
        caller,
        host,
        site,
    )
    return json_body.encode(request), unknown


def volume_sources(body: bytes) -> set[str]:
    """Return the host paths that a volume request names."""
    request, _ = json_body.canonical(json_body.parse(body), json_body.VOLUME)
    device = request.get("DriverOpts", {}).get("device", "")
    return {device} if device.startswith("/") else set()
