"""Checks a server from the engine to the log, behind `ds01-doctor`.

Prints one line for each check, and for what is not in order the command that mends it;
with --json one object. Exit status: 0 if nothing is an error, else 7 if something that
DS01 needs is wrong, else 6 (only configuration or records are).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ds01.core import table
from ds01.core.errors import Exit
from ds01.doctor import checks, upkeep
from ds01.doctor.checks import Finding
from ds01.doctor.facts import Facts

_JOB = "doctor"


@dataclass(frozen=True)
class Check:
    """A check by its name, what it looks at in words, and what does it."""

    name: str
    about: str
    find: Callable[[Facts], Finding]


CHECKS = (
    Check("engine", "the Docker engine answers and is new enough", checks.engine),
    Check(
        "cgroups",
        "cgroup version and driver; can every limit be set, do GPUs survive "
        "`systemctl daemon-reload`",
        checks.cgroups,
    ),
    Check(
        "driver",
        "the NVIDIA driver answers, and is of the library's version",
        checks.driver,
    ),
    Check("runtime", "the engine finds NVIDIA's container toolkit", checks.runtime),
    Check(
        "default-runtime",
        "NVIDIA's runtime is not the default of all containers",
        checks.default_runtime,
    ),
    Check(
        "toolkit",
        "the toolkit's setting for NVIDIA_VISIBLE_DEVICES lets DS01's GPUs through",
        checks.envvar,
    ),
    Check(
        "gpus",
        "no device is sick, lost, in use past DS01 or not clean",
        checks.devices,
    ),
    Check("mig", "no GPU in MIG mode is without instances", checks.mig),
    Check(
        "cron",
        "cron calls the lifecycle pass, and it does its work",
        upkeep.cron,
    ),
    Check(
        "rights",
        "those who may use the engine can write records and logs",
        upkeep.rights,
    ),
    Check("records", "the state's documents can be read", upkeep.records),
    Check("disk", "room and inodes where engine and DS01 write", upkeep.disk),
    Check(
        "policy",
        "all configuration files, as `ds01-config check`",
        upkeep.policy,
    ),
    Check(
        "catalog",
        "the overlay's catalog can be merged and has images for this host",
        upkeep.catalog,
    ),
    Check("mlc", "the mlc in use starts", upkeep.mlc),
    Check(
        "hooks",
        "the site's hooks can be run by all and changed by root only",
        upkeep.hooks,
    ),
    Check("uv", "the installer of images' Python packages is there", upkeep.uv),
    Check("programs", "the programs that commands call", upkeep.programs),
    Check(
        "parts",
        "crontab, log rotation and login notice in the system's folders",
        upkeep.parts,
    ),
    Check("metrics", "metrics are written, where they are wanted", upkeep.metrics),
)
_COLOURS = {"ok": "32", "warning": "33", "error": "31", "unknown": "36"}


def examine(facts: Facts) -> list[tuple[Check, Finding]]:
    """Return what every check finds."""
    return [(check, check.find(facts)) for check in CHECKS]


def exit_status(findings: Sequence[Finding]) -> Exit:
    """Return the status of the worst finding."""
    errors = [finding for finding in findings if finding.level == "error"]
    if not errors:
        return Exit.OK
    if all(finding.is_config for finding in errors):
        return Exit.CONFIG
    return Exit.PREREQUISITE


def report(found: Sequence[tuple[Check, Finding]], colour: bool) -> str:
    """Return the findings as lines for people, what mends one below it."""
    wide = max(table.width(check.name) for check, _ in found)
    lines = []
    for check, finding in found:
        level = f"{finding.level:<7}"
        if colour:
            level = f"\033[{_COLOURS[finding.level]}m{level}\033[0m"
        lines.append(f"{level}  {check.name:<{wide}}  {finding.text}")
        if finding.fix and finding.level != "ok":
            lines.append(f"{'':7}  {'':{wide}}  -> {finding.fix}")
    counted = [finding.level for _, finding in found]
    words = [
        f"{counted.count(level)} {word if counted.count(level) == 1 else plural}"
        for level, word, plural in (
            ("error", "error", "errors"),
            ("warning", "warning", "warnings"),
            ("unknown", "could not be checked", "could not be checked"),
        )
        if level in counted
    ]
    lines.append(", ".join(words) if words else "everything is in order")
    return "\n".join(lines) + "\n"
