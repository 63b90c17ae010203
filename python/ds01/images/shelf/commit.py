"""An image out of the files of a container, as they are: one without a source."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ds01.containers.containers import Container
from ds01.core.engine import Engine, reason
from ds01.core.errors import Exit, HelperError
from ds01.core.owner import user_name
from ds01.core.units import utc_stamp
from ds01.images.shelf.labels import Labels, decode, encode
from ds01.images.source import names

MADE_BY = "container-save"
_SECONDS = 1800.0


def labels(
    item: Container, found: Mapping[str, str], name: str, stamp: str
) -> dict[str, str]:
    """Return the labels of the image.

    It inherits those of the container, which no label can be taken from: what they say
    of the container is not true of the image, and of other containers made of it.
    """
    void = {
        key: "none" if key.startswith("ds01.gpu") else "-"
        for key in found
        if key.startswith(("aime.mlc", "ds01."))
    }
    base = decode(found) or Labels()
    own = Labels(
        uid=str(os.getuid()),
        user=user_name(),
        name=name,
        base=base.base,
        base_digest=base.base_digest,
        created=stamp,
        architecture=item.architecture or "-",
        framework=item.framework or "-",
        made_by=MADE_BY,
    )
    return {**void, **encode(own)}


def commit(engine: Engine, item: Container, name: str) -> dict[str, Any]:
    """Make the image, which takes the name from an older one only when it is there."""
    details = engine.container(item.id)
    if details is None:
        raise HelperError(Exit.NOT_FOUND, f"container '{item.name}' not found")
    reference = names.reference(user_name(), os.getuid(), name)
    old = engine.image(reference) or {}
    before = decode((old.get("Config") or {}).get("Labels"))
    if before is not None and before.made_by != MADE_BY:
        raise HelperError(
            Exit.REFUSED,
            f"your image '{name}' has a source, which a copy would leave behind",
            f"choose another name, or run 'container-save {item.name} {name}'",
        )
    begun = time.monotonic()
    stamp = utc_stamp(datetime.now(timezone.utc))
    found: Mapping[str, str] = (details.get("Config") or {}).get("Labels") or {}
    config = {
        "Labels": labels(item, found, name, stamp),
        "User": "0:0",
        "Cmd": ["bash"],
        "Env": ["NVIDIA_VISIBLE_DEVICES=void"],
    }
    repository, _, tag = reference.rpartition(":")
    query = {"container": item.id, "repo": repository, "tag": tag, "pause": "1"}
    status, answer = engine.call("POST", "/commit", query, config)
    if status != 201:
        raise HelperError(
            Exit.REFUSED if status == 403 else Exit.BUG,
            f"container '{item.name}' was not copied: {reason(answer)}",
        )
    made = engine.image(reference) or {}
    return {
        "name": name,
        "reference": reference,
        "id": json.loads(answer)["Id"],
        "size": made.get("Size", 0),
        "seconds": round(time.monotonic() - begun, 1),
        "base": item.framework,
        "log": None,
        "lock_changes": [],
        "outdated": [],
    }
