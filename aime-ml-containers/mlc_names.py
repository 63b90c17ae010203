"""Names of containers and what their labels hold.

A container is `NAME._.UID` for the engine and NAME for its user.
"""

from __future__ import annotations

import re

from mlc_base import MlcError

SEPARATOR = "._."
LABEL = "aime.mlc"
_ALLOWED = re.compile(r"[A-Za-z0-9_#-]+")
MOST = 100  # with the separator and a UID it must fit an image tag of 128


def check_name(name: str) -> None:
    """Refuse a name that the contract or the engine does not take."""
    if not _ALLOWED.fullmatch(name):
        raise MlcError(
            f"'{name}' is no container name",
            "use letters, digits, '_' and '-'",
        )
    if "#" in name:
        raise MlcError(
            f"'{name}': Docker takes no '#' in the name of a container",
            f"use '{name.strip('#').replace('#', '-') or 'my-project'}'",
        )
    if not name[0].isalnum():
        raise MlcError(
            f"'{name}': Docker wants a letter or digit first",
            f"use '{name.lstrip('_-') or 'my-project'}'",
        )
    if len(name) > MOST:
        raise MlcError(f"'{name}' is longer than {MOST} characters")


def full_name(name: str, uid: int) -> str:
    return f"{name}{SEPARATOR}{uid}"


def label_value(text: str) -> str:
    """Return a text as a label may hold it: one list of labels is split at commas,
    and a label without a value breaks that list."""
    return text.replace("%", "%25").replace(",", "%2C") if text else "-"


def read_label(value: str) -> str:
    """Return what `label_value` was given."""
    return value.replace("%2C", ",").replace("%25", "%")
