"""Makes a stopped container anew on other GPUs, with its files, name, labels, mounts.

A container's devices are fixed when it is made, so other ones mean another container:
its file system is committed to its own prepared image, the old one is set aside under
another name, the new one is made and bound to its devices, and only then the old one
goes. Wherever this stops, one whole container is there: `recover` finds it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ds01.core.engine import Engine, reason
from ds01.core.errors import Exit, HelperError
from ds01.core.labels import ASIDE, MOVED_FROM
from ds01.core.program import program_name, say
from ds01.gpus.ledger.device_request import Gpus, put_gpus

_PROGRAM = "gpu_rehome"


def image_for(details: Mapping[str, Any]) -> tuple[str, str]:
    """Return repository and tag for a container's committed files.

    mlc's prepared image is the container's own and goes with it: its name is taken.
    """
    name = str(details.get("Name", "")).removeprefix("/").removesuffix(ASIDE)
    image = str((details.get("Config") or {}).get("Image", ""))
    repository, colon, tag = image.rpartition(":")
    if colon and tag == name and "@" not in image:
        return repository, tag
    return "ds01-moved", name


def create_body(details: Mapping[str, Any], image: str, gpus: Gpus) -> dict[str, Any]:
    """Return the create request for a container like this one, on other devices."""
    body: dict[str, Any] = copy.deepcopy(dict(details.get("Config") or {}))
    body["Image"] = image
    if str(details.get("Id", "")).startswith(body.get("Hostname") or "-"):
        # The engine's own choice, from the old id.
        body.pop("Hostname", None)
    body["HostConfig"] = copy.deepcopy(dict(details.get("HostConfig") or {}))
    put_gpus(body, gpus)
    body["Labels"] = {
        **(body.get("Labels") or {}),
        **gpus.labels,
        MOVED_FROM: str(details.get("Id", "")),
    }
    _keep_volumes(body["HostConfig"], details.get("Mounts") or [])
    networks = (details.get("NetworkSettings") or {}).get("Networks") or {}
    mode = body["HostConfig"].get("NetworkMode", "")
    if mode in networks and mode not in ("host", "none", "bridge", "default"):
        kept = ("Aliases", "IPAMConfig", "Links")
        endpoint = {key: networks[mode].get(key) for key in kept}
        body["NetworkingConfig"] = {"EndpointsConfig": {mode: endpoint}}
    return body


def _keep_volumes(config: dict[str, Any], mounts: Sequence[Mapping[str, Any]]) -> None:
    """Bind the volumes that no option names: an image's own (VOLUME) are made anew for
    a new container, and what lies in them is in no commit."""
    binds = list(config.get("Binds") or [])
    named = {bind.split(":")[1] for bind in binds if ":" in bind}
    named |= {str(mount.get("Target")) for mount in config.get("Mounts") or []}
    for mount in mounts:
        target = str(mount.get("Destination", ""))
        if mount.get("Type") == "volume" and target not in named:
            mode = "" if mount.get("RW", True) else ":ro"
            binds.append(f"{mount['Name']}:{target}{mode}")
    config["Binds"] = binds


def _call(
    engine: Engine,
    method: str,
    path: str,
    query: Mapping[str, str] | None = None,
    body: object = None,
) -> bytes:
    status, answer = engine.call(method, path, query, body)
    if status >= 400:
        raise HelperError(
            Exit.BUG,
            f"the container could not be made anew on other GPUs: {reason(answer)}",
            "try again; nothing of the container is lost",
        )
    return answer


def rename(engine: Engine, identity: str, name: str) -> None:
    _call(engine, "POST", f"/containers/{identity}/rename", {"name": name})


def remake(engine: Engine, details: Mapping[str, Any], gpus: Gpus) -> str:
    """Make the container anew; return the new one's id. The old one is set aside.

    Raises HelperError where it fails; then the old one has its name back.
    """
    import json  # noqa: PLC0415 - only here

    old, name = str(details["Id"]), str(details["Name"]).removeprefix("/")
    repository, tag = image_for(details)
    query = {"container": old, "repo": repository, "tag": tag, "pause": "0"}
    _call(engine, "POST", "/commit", query, {})
    rename(engine, old, name + ASIDE)
    try:
        body = create_body(details, f"{repository}:{tag}", gpus)
        answer = _call(engine, "POST", "/containers/create", {"name": name}, body)
    except BaseException:
        rename(engine, old, name)
        raise
    return str(json.loads(answer)["Id"])


def drop(engine: Engine, identity: str) -> None:
    """Remove the old container, of which the new one has everything."""
    status, answer = engine.call("DELETE", f"/containers/{identity}")
    if status >= 400:
        say("warning", f"the old container stays: {reason(answer)}", _PROGRAM)


def undo(engine: Engine, new: str, old: str, name: str) -> None:
    """Remove a new container that got no devices; give the old one its name back."""
    engine.call("DELETE", f"/containers/{new}", {"force": "1"})
    rename(engine, old, name)


def is_ours(aside: Mapping[str, Any], new: Mapping[str, Any] | None, name: str) -> bool:
    """Is this what remake() set aside for the container of that name?

    A name alone says nothing: anybody may have chosen it. It must be the same owner's,
    by DS01's labels, and the new one must have been made from it.
    """
    labels = (aside.get("Config") or {}).get("Labels") or {}
    owner, own_name = labels.get("ds01.uid"), labels.get("aime.mlc.NAME")
    if not owner or (own_name and f"{own_name}._.{owner}" != name):
        return False
    if new is None:
        return bool(own_name)
    others = (new.get("Config") or {}).get("Labels") or {}
    same_owner = bool(others.get("ds01.uid") == owner)
    return same_owner and bool(others.get(MOVED_FROM) == aside["Id"])


def recover(engine: Engine, name: str) -> None:
    """Finish, or take back, what an interrupted remake() left of a container."""
    aside = engine.container(quote(name + ASIDE))
    if aside is None:
        return
    new = engine.container(quote(name))
    if not is_ours(aside, new, name):
        return
    if new is None:
        rename(engine, str(aside["Id"]), name)
    elif (new.get("State") or {}).get("Status") == "created":
        # Never started, so it holds nothing of its own; its devices may be anybody's.
        undo(engine, str(new["Id"]), str(aside["Id"]), name)
    else:
        drop(engine, str(aside["Id"]))
    say("info", f"an interrupted move of '{name}' was cleared", program_name(_PROGRAM))
