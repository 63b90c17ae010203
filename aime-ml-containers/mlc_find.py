"""Which containers there are: one question to the engine, answered in JSON."""

from __future__ import annotations

from typing import NamedTuple

import mlc_ask as ask
import mlc_docker as docker
from mlc_base import MlcError, caller
from mlc_names import LABEL, SEPARATOR, check_name, full_name, read_label


class Container(NamedTuple):
    """A container of mlc as a list shows it; status and size are for people."""

    id: str
    full: str
    state: str
    status: str
    size: str
    labels: dict[str, str]

    @property
    def name(self) -> str:
        return self.full.rpartition(SEPARATOR)[0]

    @property
    def uid(self) -> str:
        return self.full.rpartition(SEPARATOR)[2]


_MOUNTS = ("WORK_MOUNT", "DATA_MOUNT", "MODELS_MOUNT")
_LABELS = ("USER", "FRAMEWORK", "ARCH", "GPUS", *_MOUNTS)


def _template(size: bool) -> str:
    """Return a template for one JSON object a line.

    Each label is asked for by its name: docker's own list of them is joined with
    commas and cannot be taken apart again.
    """
    fields = {"id": ".ID", "full": ".Names", "state": ".State", "status": ".Status"}
    if size:
        fields["size"] = ".Size"
    fields |= {name: f'(.Label "{LABEL}.{name}")' for name in _LABELS}
    inner = ",".join(f'"{key}":{{{{json {what}}}}}' for key, what in fields.items())
    return "{" + inner + "}"


def containers(uid: int | None, *, size: bool = False) -> list[Container]:
    """Return the containers of a user, or with None those of all users, by name."""
    words = ["ps", "-a", "--no-trunc", "--filter", f"label={LABEL}"]
    if size:
        words.append("--size")
    out = docker.must([*words, "--format", _template(size)], "cannot list containers")
    found = []
    for row in docker.json_lines(out):
        labels = {name: read_label(row.pop(name)) for name in _LABELS}
        container = Container(**{"size": "-", **row, "labels": labels})
        if SEPARATOR in container.full and uid in {None, _number(container.uid)}:
            found.append(container)
    return sorted(found, key=lambda one: (one.name, one.uid))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else -1


def own(name: str | None, silent: bool, what: str) -> Container:
    """Return the caller's container of a name, asking for it if it is missing."""
    uid = caller().uid
    if name is None and silent:
        raise MlcError("no container name given", f"mlc {what} NAME -s")
    if name is not None:
        check_name(name)
    mine = containers(uid)
    if name is None:
        if not mine:
            raise MlcError("you have no container", "mlc create")
        shown = [
            f"{one.name}  ({one.labels['FRAMEWORK']}, {one.status})" for one in mine
        ]
        return mine[ask.choose(f"Container to {what}", shown)]
    for one in mine:
        if one.full == full_name(name, uid):
            return one
    raise MlcError(f"you have no container '{name}'", "mlc list -a")
