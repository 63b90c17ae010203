"""Resource limits of a create request: the lower of what is asked and what is allowed.

Pure functions on a canonical HostConfig. Each takes the fields it is about out of the
request and puts back what the container gets; a field that is not asked for gets the
policy's value. Nothing here raises: a wish beyond the limit is lowered, with a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ds01.core import units
from ds01.gateway.types import HostFacts, Limits, Notes, Site

_NANO = 1_000_000_000
_PERIOD = 100_000
_STACK = 64 << 20
_SMALLEST_CPUS = 0.01

# ulimits that confine a process; the others (nice, rtprio, …) give it precedence.
_ULIMITS = frozenset(
    {
        *("core", "cpu", "data", "fsize", "locks", "memlock"),
        *("msgqueue", "nofile", "nproc", "rss", "sigpending", "stack"),
    }
)
_LOG_DRIVERS = frozenset({"json-file", "local", "journald", "none"})
_LOG_OPTIONS = frozenset(
    {
        *("compress", "env", "env-regex", "labels", "labels-regex"),
        *("max-buffer-size", "mode", "tag"),
    }
)
# Shares of a resource beyond the default take it from other people's containers.
_SHARES = 1024
_CPUSET = re.compile(r"[0-9,\-]*", re.ASCII)


def apply(
    config: dict[str, Any],
    limits: Limits,
    host: HostFacts,
    site: Site,
    notes: Notes,
) -> dict[str, str]:
    """Set all limits in a HostConfig; return them as the policy writes them."""
    cpus = _cpus(config, limits, host, notes)
    memory, swap = _memory(config, limits, host, notes)
    shm = _shm(config, limits, notes)
    pids = _pids(config, limits, notes)
    _weights(config, notes)
    _ulimits(config, host, notes)
    _log(config, host, site, notes)
    return {
        "cpus": "unlimited" if cpus is None else units.format_number(cpus),
        "memory": _text(memory),
        "memory-swap": _text(swap),
        "shm": _text(shm),
        "pids": "unlimited" if pids is None else str(pids),
    }


def _text(size: int | None) -> str:
    return "unlimited" if size is None else units.format_size(size)


def _lower(*values: Any) -> Any:
    """Return the lowest of several limits; None is no limit."""
    known = [value for value in values if value is not None]
    return min(known) if known else None


def _tell_lowered(  # noqa: PLR0917 - what is told, and of what
    notes: Notes,
    code: str,
    what: str,
    asked: Any,
    given: Any,
    text: Callable[[Any], str],
) -> None:
    """Note where less is given than was asked for; None is no limit."""
    if asked is not None and given is not None and asked > given:
        words = f"limited to {text(given)}, not the {text(asked)} asked for"
        notes.warn(code, f"{what} {words}")


def _cpus(
    config: dict[str, Any], limits: Limits, host: HostFacts, notes: Notes
) -> float | None:
    asked: float | None = None
    if config.get("NanoCpus", 0) > 0:
        asked = config["NanoCpus"] / _NANO
    elif config.get("CpuQuota", 0) > 0:
        period = config.get("CpuPeriod", 0)
        asked = config["CpuQuota"] / (period if period > 0 else _PERIOD)
    for name in ("NanoCpus", "CpuQuota", "CpuPeriod"):
        config.pop(name, None)
    allowed = _lower(limits.max_cpus, host.cpus or None)
    cpus: float | None = _lower(
        asked, limits.max_cpus, host.cpus if asked or limits.max_cpus else None
    )
    if cpus is None:
        return None
    # The engine refuses less than this, and takes 0 for "no limit".
    cpus = max(cpus, _SMALLEST_CPUS)
    if allowed is not None and allowed < (asked or 0):
        _tell_lowered(notes, "cpus", "CPUs are", asked, cpus, units.format_number)
    config["NanoCpus"] = round(cpus * _NANO)
    return cpus


def _memory(
    config: dict[str, Any], limits: Limits, host: HostFacts, notes: Notes
) -> tuple[int | None, int | None]:
    """Set memory and memory + swap, as Docker counts them.

    The swap beyond the memory never exceeds what the policy leaves between its two
    values, also where less memory is asked for than it allows.
    """
    asked = config.pop("Memory", 0)
    asked_swap = config.pop("MemorySwap", 0)
    asked = asked if asked > 0 else None
    total = host.memory or None
    # Memory and swap together below the memory alone: then that is the limit of both.
    allowed: int | None = _lower(limits.memory, limits.memory_swap)
    memory: int | None = _lower(asked, allowed)
    if memory is not None:
        memory = _lower(memory, total)
    _tell_lowered(notes, "memory", "memory is", asked, memory, units.format_size)
    if memory is None:
        config.pop("MemoryReservation", None)
        return None, None
    config["Memory"] = memory
    spare: int | None = None
    if limits.memory_swap is not None and allowed is not None:
        spare = limits.memory_swap - allowed
    wish: int | None = None
    if asked_swap > 0:
        wish = max(asked_swap - memory, 0)
    elif asked_swap == 0 and asked:
        wish = memory  # what Docker gives when only the memory is asked for
    extra = _lower(spare, wish)
    swap: int | None = None if extra is None else memory + extra
    what = "memory and swap together are"
    _tell_lowered(notes, "memory-swap", what, asked_swap, swap, units.format_size)
    config["MemorySwap"] = -1 if swap is None else swap
    if config.get("MemoryReservation", 0) > memory:
        config["MemoryReservation"] = memory
    return memory, swap


def _shm(config: dict[str, Any], limits: Limits, notes: Notes) -> int | None:
    asked = config.pop("ShmSize", 0)
    size: int | None = _lower(asked if asked > 0 else None, limits.shm_size)
    _tell_lowered(notes, "shm", "shared memory is", asked, size, units.format_size)
    if size is None:
        # Unlimited by policy: bounded by the container's memory, which it counts to.
        size = config.get("Memory")
    if size is not None:
        config["ShmSize"] = max(size, 1)
    return size


def _pids(config: dict[str, Any], limits: Limits, notes: Notes) -> int | None:
    asked = config.pop("PidsLimit", 0)
    pids: int | None = _lower(asked if asked > 0 else None, limits.pids_limit)
    if pids is None:
        return None
    _tell_lowered(notes, "pids", "processes are", asked, pids, str)
    config["PidsLimit"] = pids
    return pids


def _weights(config: dict[str, Any], notes: Notes) -> None:
    """Take out what would give precedence over other containers."""
    dropped = []
    for name in (
        "KernelMemory",
        "KernelMemoryTCP",
        "CpuRealtimePeriod",
        "CpuRealtimeRuntime",
        "BlkioWeight",
        "BlkioWeightDevice",
        "OomKillDisable",
    ):
        if config.pop(name, None):
            dropped.append(name)
    if config.get("CpuShares", 0) > _SHARES:
        del config["CpuShares"]
        dropped.append("CpuShares")
    if config.get("OomScoreAdj", 0) < 0:
        del config["OomScoreAdj"]
        dropped.append("OomScoreAdj")
    for name in ("CpusetCpus", "CpusetMems"):
        if not _CPUSET.fullmatch(config.get(name, "")):
            del config[name]
            dropped.append(name)
    if dropped:
        notes.warn("weights", f"{', '.join(dropped)} cannot be set here: left out")


def _ulimits(config: dict[str, Any], host: HostFacts, notes: Notes) -> None:
    """Set ulimits: locked memory without limit and a stack of 64m, as mlc wants them.

    Where the engine lacks the right to raise a limit, the highest that it can give.
    """
    wanted = {"memlock": (-1, -1), "stack": (_STACK, _STACK)}
    dropped = []
    for entry in config.pop("Ulimits", []):
        name = str(entry.get("Name", "")).lower()
        if name not in _ULIMITS:
            dropped.append(name)
            continue
        wanted[name] = (int(entry.get("Soft", 0)), int(entry.get("Hard", 0)))
    if dropped:
        names = ", ".join(sorted(set(dropped)))
        notes.warn("ulimits", f"ulimits {names} cannot be set here: left out")
    result = []
    for name, (soft, hard) in sorted(wanted.items()):
        ceiling = host.ceilings.get(name)
        limit = (_capped(soft, ceiling), _capped(hard, ceiling))
        if limit != (soft, hard) and ceiling is not None:
            is_size = name in {"memlock", "stack", "core", "data", "fsize", "rss"}
            value = units.format_size(ceiling) if is_size else str(ceiling)
            what = {"memlock": "locked memory", "stack": "the stack"}.get(name, name)
            notes.warn(
                f"ulimit-{name}",
                f"{what} is limited to {value}: the Docker engine may not give more",
            )
        result.append({"Name": name, "Soft": limit[0], "Hard": limit[1]})
    config["Ulimits"] = result


def _capped(value: int, ceiling: int | None) -> int:
    """Return a ulimit (-1 is unlimited) within the engine's ceiling."""
    if ceiling is None:
        return value
    return ceiling if value < 0 or value > ceiling else value


def _log(config: dict[str, Any], host: HostFacts, site: Site, notes: Notes) -> None:
    asked: Mapping[str, Any] = config.pop("LogConfig", {})
    driver = asked.get("Type") or host.logging_driver
    options = dict(asked.get("Config") or {})
    if driver not in _LOG_DRIVERS and driver != host.logging_driver:
        notes.warn("log", f"log driver '{driver}' is not available here: left out")
        driver, options = host.logging_driver, {}
    if driver not in {"json-file", "local"}:
        if asked.get("Type"):
            config["LogConfig"] = {"Type": driver, "Config": {}}
        return
    kept = {key: value for key, value in options.items() if key in _LOG_OPTIONS}
    kept["max-size"] = _log_size(options.get("max-size", ""), site.log_size)
    count = options.get("max-file", "")
    few = count.isascii() and count.isdigit() and 1 <= int(count[:6]) <= site.log_files
    kept["max-file"] = str(int(count)) if few else str(site.log_files)
    if kept.get("compress") != "true":
        kept.pop("compress", None)
    config["LogConfig"] = {"Type": driver, "Config": kept}


def _log_size(asked: str, allowed: str) -> str:
    try:
        return allowed if units.parse_size(asked) > units.parse_size(allowed) else asked
    except ValueError:
        return allowed
