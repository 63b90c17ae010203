"""The labels by which custom images are known, and their containers with them.

AIME's list takes all labels of a container apart at commas and needs a value in each:
values are percent-encoded where they hold one, and `-` where there is nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from urllib.parse import quote, unquote

from ds01.core.owner import Owner, boot_id, is_alive, owner_of

PREFIX = "ds01.image."
# The process that builds an image, until it has a name.
BUILDER = "ds01.build.by"
_MARK = re.compile(r"(\d+)\.(\d+)\.(\S+)")
_SAFE = " !#$&'()*+/:;=?@[]~"


@dataclass(frozen=True)
class Labels:
    """What an image says of itself; the field `base_digest` is the label `base.digest`.

    `spec`, `lock` and `context` (all that went to the builder) are checksums, `created`
    is the time of the build in UTC.
    """

    uid: str = "-"
    user: str = "-"
    name: str = "-"
    base: str = "-"
    base_digest: str = "-"
    spec: str = "-"
    lock: str = "-"
    context: str = "-"
    created: str = "-"
    shared: str = "0"
    architecture: str = "-"
    framework: str = "-"
    source: str = "-"
    made_by: str = "-"


def _key(name: str) -> str:
    special = {"base_digest": "base.digest", "made_by": "made-by"}
    return PREFIX + special.get(name, name)


def encode(labels: Labels) -> dict[str, str]:
    """Return the labels as the engine gets them."""
    return {
        _key(each.name): quote(getattr(labels, each.name), safe=_SAFE) or "-"
        for each in fields(labels)
    }


def decode(labels: Mapping[str, str] | None) -> Labels | None:
    """Return what an image or container says; None where it is no custom image's."""
    found = labels or {}
    if _key("name") not in found or _key("uid") not in found:
        return None
    return Labels(
        **{
            each.name: unquote(found[_key(each.name)])
            for each in fields(Labels)
            if _key(each.name) in found
        }
    )


def own_mark() -> str:
    """Return the value of a label that says: this process made it, and needs it."""
    me = owner_of(os.getpid()) or Owner(os.getpid(), 0, boot_id())
    return f"{me.pid}.{me.start}.{me.boot}"


def is_left(mark: str) -> bool:
    """Is the process of such a label dead? False where it is no such label."""
    found = _MARK.fullmatch(mark)
    if found is None:
        return False
    return not is_alive(Owner(int(found[1]), int(found[2]), found[3]))
