"""Docker's device request: what is read from it, and what is put in its place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ds01.gpus.ledger.document import Grant
_GPU_ENVIRONMENT = re.compile(
    r"(?:NVIDIA_VISIBLE_DEVICES|NVIDIA_MIG_\w+_DEVICES|NVIDIA_IMEX_CHANNELS)(?:=|$)"
)
# What a container may use of a GPU; NVIDIA's driver capabilities.
_GPU_CAPABILITIES = frozenset(
    {"compute", "compat32", "display", "graphics", "ngx", "utility", "video"}
)


def put_gpus(create: Create, gpus: Gpus) -> None:
    """Put the granted devices in the place of the request; close the ways around it.

    The environment names them too: where NVIDIA's runtime is the engine's default, what
    an image bakes in would otherwise count.
    """
    config = create["HostConfig"]
    requests = config.pop("DeviceRequests", [])
    environment = [
        entry for entry in create.get("Env", []) if not _GPU_ENVIRONMENT.match(entry)
    ]
    if not gpus.uuids:
        environment.append("NVIDIA_VISIBLE_DEVICES=void")
    else:
        asked = {
            name
            for request in requests
            for names in request.get("Capabilities", [])
            for name in names
        }
        config["DeviceRequests"] = [
            {
                "DeviceIDs": list(gpus.uuids),
                "Capabilities": [["gpu", *sorted(asked & _GPU_CAPABILITIES)]],
            }
        ]
        environment = [
            entry for entry in environment if not entry.startswith("CUDA_DEVICE_ORDER=")
        ]
        environment += [
            f"NVIDIA_VISIBLE_DEVICES={','.join(gpus.uuids)}",
            "CUDA_DEVICE_ORDER=PCI_BUS_ID",
        ]
    create["Env"] = environment


def waits(requests: Sequence[Mapping[str, Any]]) -> tuple[bool, float | None]:
    """Return whether a request waits in the queue, and for how many seconds at most.

    Raises HelperError(USAGE) for what is no duration.
    """
    from ds01.gpus.rules.request import WAIT_OPTION, parse_wait  # noqa: PLC0415 - needed by a create only

    for request in requests:
        for key, value in (request.get("Options") or {}).items():
            if key.lower() == WAIT_OPTION:
                return True, parse_wait(value)
    return False, None


def labels_of(grant: Grant) -> dict[str, str]:
    """Return the labels that tell what a container was given; never with a comma."""
    if not grant.devices:
        return {"ds01.gpus": "none", "ds01.gpu.request": grant.request or "none"}
    return {
        "ds01.gpus": ";".join(device.uuid for device in grant.devices),
        "ds01.gpu.profiles": ";".join(device.profile for device in grant.devices),
        "ds01.gpu.request": grant.request.replace(",", ";"),
    }


# A create request with the engine's own field names (gateway_json.canonical).
Create = dict[str, Any]


@dataclass(frozen=True)
class Gpus:
    """The devices that the allocator granted to a container, and the labels that tell.

    Without any, the container sees no GPU.
    """

    uuids: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


NO_GPUS = Gpus()
