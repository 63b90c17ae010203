"""What the gateway's policy works on and answers with: plain values, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ds01.gpus.ledger.device_request import Create


class Limits(Protocol):
    """The part of policy.Limits that a container request meets; None is unlimited."""

    @property
    def max_cpus(self) -> float | None: ...
    @property
    def memory(self) -> int | None: ...
    @property
    def memory_swap(self) -> int | None: ...
    @property
    def shm_size(self) -> int | None: ...
    @property
    def pids_limit(self) -> int | None: ...
    @property
    def network(self) -> str: ...


@dataclass(frozen=True)
class Caller:
    """Who asks. `private`: the gateway runs in the caller's own rights, for them."""

    uid: int
    name: str
    private: bool = True


@dataclass(frozen=True)
class HostFacts:
    """What the host and its engine have and can do.

    `ceilings` are the highest values of ulimits that the engine can set, by ulimit
    name; a name that is missing has none. `real_paths` are the bind sources of the
    request, resolved.
    """

    cpus: int = 0
    memory: int = 0
    cgroup_driver: str = "cgroupfs"
    logging_driver: str = "json-file"
    runtimes: frozenset[str] = frozenset({"runc"})
    default_runtime: str = "runc"
    data_root: str = "/var/lib/docker"
    engine_socket: str = "/var/run/docker.sock"
    ceilings: Mapping[str, int] = field(default_factory=dict)
    devices: frozenset[str] = frozenset()
    real_paths: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Site:
    """What the installation's settings say about containers."""

    cgroup_parent: str | None = None
    log_size: str = "50m"
    log_files: int = 3
    protected: tuple[str, ...] = ()


@dataclass(frozen=True)
class Note:
    """Something that was changed, and why.

    `level`: warning or info for what a person should read, quiet for the event log.
    """

    level: str
    code: str
    text: str


@dataclass(frozen=True)
class Rewrite:
    """A create request as it goes to the engine, and what was changed."""

    request: Create
    notes: tuple[Note, ...]


class RefusalError(Exception):
    """A request that policy does not allow: a code for the log, the reason, a hint."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} (hint: {self.hint})" if self.hint else self.message


def not_allowed(code: str, what: str, leave_out: str = "") -> RefusalError:
    """Return the refusal of what nobody may have here, and what to leave out for it."""
    hint = f"leave out {leave_out}" if leave_out else None
    return RefusalError(code, f"{what} not allowed on this server", hint)


class Notes(list[Note]):
    """Collects notes. What mlc asks for by its contract is changed without a word."""

    def __init__(self, *, is_mlc: bool) -> None:
        super().__init__()
        self._is_mlc = is_mlc

    def warn(self, code: str, text: str) -> None:
        self.append(Note("warning", code, text))

    def tell(self, code: str, text: str) -> None:
        self.append(Note("info", code, text))

    def by_contract(self, code: str, text: str) -> None:
        """Note a change of something that mlc always asks for: not news to its user."""
        self.append(Note("quiet" if self._is_mlc else "warning", code, text))

    def quiet(self, code: str, text: str) -> None:
        self.append(Note("quiet", code, text))
