"""What a build may ask for, whichever client asks: docker, compose, the SDK.

Pure: which of a build's parameters go to the engine (`build_query`), whose names and
labels a client may give (`check_reference`, `check_labels`), which build belongs to the
creation of a container (`is_preparation`), and which container is the helper of a build
(`is_helper`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ds01.core.labels import HELPER, HELPER_SECONDS
from ds01.gateway import json_body, rewrite
from ds01.gateway.types import Caller, HostFacts, Limits, Note, RefusalError, Site
from ds01.gpus.ledger.device_request import Create
from ds01.images.source.names import PREFIX, owner_part

# What may be an image's id, or its beginning.
_ID = re.compile(r"(?:sha256:)?[0-9a-f]+")
_BUILD_PERIOD = 100_000
# What a client may give as the place of its context: its own session, or its upload.
_OWN_CONTEXTS = frozenset({"", "client-session", "upload-request"})
_NUMBERS = {
    "memory": "Memory",
    "memswap": "MemorySwap",
    "cpuquota": "CpuQuota",
    "cpuperiod": "CpuPeriod",
    "cpushares": "CpuShares",
    "shmsize": "ShmSize",
}


def build_query(
    query: Mapping[str, str],
    caller: Caller,
    limits: Limits,
    host: HostFacts,
    site: Site,
) -> tuple[dict[str, str], list[Note]]:
    """Return a build's parameters within policy. Raises RefusalError.

    The classic builder runs containers with what the parameters say: they get the
    limits of the caller's containers. BuildKit takes only the network from here.
    """
    result = dict(query)
    notes: list[Note] = []
    if query.get("remote", "") not in _OWN_CONTEXTS:
        raise RefusalError(
            "context",
            "a build on this server takes its context from you, not from an address",
            "download it first, then run 'docker build' on the folder",
        )
    check_reference(query.get("t", ""), caller)
    check_labels(query.get("labels", ""), caller)
    network = query.get("networkmode", "")
    if network == "host" and limits.network != "host":
        result["networkmode"] = "default"
        text = "the build has no host network: policy does not allow it"
        notes.append(Note("warning", "network", text))
    if network.startswith("container:") and not caller.private:
        raise RefusalError("network", f"network '{network}' is not allowed here")
    if query.get("securityopt"):
        raise RefusalError("security", "security options are not allowed in a build")
    parent = rewrite.cgroup_parent(caller, host, site)
    result.pop("cgroupparent", None)
    if parent:
        result["cgroupparent"] = parent
    if query.get("version") != "2":
        _limit_classic(result, limits, host, site)
    return result, notes


def is_preparation(query: Mapping[str, str], caller: Caller) -> bool:
    """Is this mlc's build of the caller's account into an image?

    Small and quick, it belongs to the creation of a container, which must not wait for
    other people's builds of hours, nor for room that images need. It has the limits of
    the classic builder, and the time-out.
    """
    named = query.get("t", "").endswith(f"._.{caller.uid}")
    return named and query.get("version") != "2"


def _limit_classic(
    result: dict[str, str], limits: Limits, host: HostFacts, site: Site
) -> None:
    config: dict[str, Any] = {}
    for key, field in _NUMBERS.items():
        text = result.pop(key, "")
        if text.lstrip("-").isdigit() and text.isascii():
            config[field] = int(text[:20])
    config = rewrite.limit_build(config, limits, host, site)
    if "NanoCpus" in config:
        result["cpuperiod"] = str(_BUILD_PERIOD)
        result["cpuquota"] = str(config["NanoCpus"] * _BUILD_PERIOD // 10**9)
    for key in ("memory", "memswap", "cpushares", "shmsize"):
        if _NUMBERS[key] in config:
            result[key] = str(config[_NUMBERS[key]])


def check_reference(reference: str, caller: Caller, *, is_lost: bool = False) -> None:
    """Check a name that an image is to get or to lose. Raises RefusalError.

    `ds01/OWNER/…` says whose an image is: only root gives and takes others' names. What
    mlc prepares of a shared image for a container has the user's number in its tag.
    """
    if reference.endswith(f"._.{caller.uid}"):
        return
    parts = reference.removeprefix("docker.io/").split("/")
    if len(parts) < 3 or parts[0] != PREFIX or not caller.uid:
        return
    own = owner_part(caller.name, caller.uid)
    if parts[1] not in {own, str(caller.uid)}:
        raise RefusalError(
            "image-name",
            f"image name '{reference}' is another user's",
            "run 'image-list' to see which are yours"
            if is_lost
            else f"name it '{'/'.join([PREFIX, own, *parts[2:]])}'",
        )


def lost_names(name: str, tags: Iterable[str]) -> list[str]:
    """Return the names that an image loses when it is deleted by `name`.

    One of its names loses itself only; its id, or the beginning of it, loses all.
    """
    bare = name.removeprefix("docker.io/").removeprefix("library/")
    has_tag = ":" in bare.rpartition("/")[2]
    full = bare if has_tag else f"{bare}:latest"
    if full in tags and not _ID.fullmatch(bare):
        return [name]
    return [name, *tags]


def check_prune(text: str, caller: Caller) -> None:
    """Check the filters of clearing away images. Raises RefusalError.

    Of images that have a name some are others': only root clears them all away.
    """
    asked = dict(json_body.parse((text or "{}").encode())).get("dangling", ["true"])
    if isinstance(asked, json_body.Pairs):
        asked = [key for key, _ in asked]
    if caller.uid and asked not in (["true"], ["1"]):
        raise RefusalError(
            "prune",
            "all images without a container would go, those of other users too",
            "run 'image-delete' for your own",
        )


def check_labels(text: str, caller: Caller) -> None:
    """Check the labels that a build's parameters give. Raises RefusalError.

    DS01 knows containers and images by its labels: a client gives an image those of
    its own user only, and none of those that containers are known by.
    """
    try:
        labels = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return  # the engine refuses it itself
    if not isinstance(labels, dict) or not caller.uid:
        return
    for key, value in labels.items():
        name = str(key).lower()
        if not name.startswith("ds01.") or name.startswith("ds01.build"):
            continue
        is_own = name.startswith("ds01.image.")
        if name == "ds01.image.uid":
            is_own = value == str(caller.uid)
        if not is_own:
            raise RefusalError(
                "label",
                f"label '{key}={value}' is DS01's own: a build cannot give it",
                f"leave out '--label {key}'",
            )


def is_helper(create: Create) -> bool:
    """Is this the container in which DS01 looks into an image for a build?

    It has nothing of the host's, ends by itself within minutes, and goes then, so that
    it counts as a part of the build and not as one of the user's containers.
    """
    config = create.get("HostConfig", {})
    command = create.get("Entrypoint", []), create.get("Cmd", [])
    return (
        HELPER in create.get("Labels", {})
        and config.get("AutoRemove") is True
        and command == (["sleep"], [HELPER_SECONDS])
        and not any(config.get(key) for key in ("Binds", "Devices", "DeviceRequests"))
        and all(mount.get("Type") == "volume" for mount in config.get("Mounts") or [])
    )


def helper_labels(asked: Create, sent: Create) -> dict[str, str]:
    """Return its labels: whose it is, but not that it is managed."""
    labels = {k: v for k, v in sent["Labels"].items() if k != "ds01.managed"}
    return {**labels, HELPER: asked["Labels"][HELPER]}
