"""The checks of ds01-doctor: pure, facts in, finding out; what they find, for people.

Those of engine, driver and toolkit are here, those of DS01's own parts in upkeep.py.
docs/monitoring.md says what each looks at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ds01.core import table
from ds01.core.errors import Exit
from ds01.core.units import counted
from ds01.doctor import upkeep
from ds01.doctor.facts import DriverFacts, Facts, Finding, Unknown, not_known, ok

# Docker Engine 20.10.
_OLDEST_API = (1, 41)
_SETTING = "accept-nvidia-visible-devices-envvar-when-unprivileged"
_SETTING_LINE = re.compile(rf"^\s*{_SETTING}\s*=\s*(true|false)\b", re.MULTILINE)


_NO_ENGINE = Unknown("not looked at, because the engine does not answer")


def engine(facts: Facts) -> Finding:
    found = facts.engine
    if isinstance(found, Unknown):
        return Finding("error", found.why, _engine_fix(facts, found))
    if _version(found.api) < _OLDEST_API:
        return Finding(
            "error",
            f"Docker Engine {found.version} is older than 20.10",
            "sudo apt-get install docker.io",
        )
    return ok(f"Docker Engine {found.version} answers at {facts.address}")


def _engine_fix(facts: Facts, found: Unknown) -> str:
    if "no permission" in found.why:
        return f"sudo usermod -aG {facts.engine_group} {facts.user}"
    return found.hint or "docker version"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def cgroups(facts: Facts) -> Finding:
    found = facts.engine
    if isinstance(found, Unknown):
        return not_known(_NO_ENGINE)
    words = f"cgroup v{found.cgroup_version}, driver {found.cgroup_driver}"
    if found.cgroup_driver == "none":
        return Finding(
            "error",
            f"{words}: the engine cannot limit containers",
            "dockerd-rootless-setuptool.sh check",
        )
    if found.lacks:
        return Finding(
            "warning",
            f"{words}: the kernel cannot limit {', '.join(found.lacks)}",
            "docker info",
        )
    driver = facts.driver
    if (
        found.cgroup_driver == "systemd"
        and isinstance(driver, DriverFacts)
        and driver.char_links
    ):
        # NVIDIA/nvidia-container-toolkit#48
        return Finding(
            "warning",
            f"{words}: /dev/char has no links to {', '.join(driver.char_links)}, so "
            "that 'systemctl daemon-reload' takes GPUs from running containers",
            "sudo nvidia-ctk system create-dev-char-symlinks --create-all",
        )
    return ok(words)


def runtime(facts: Facts) -> Finding:
    driver, found = facts.driver, facts.engine
    if isinstance(driver, DriverFacts) and not driver.is_there:
        return ok("this host has no NVIDIA GPU, none is needed")
    if isinstance(found, Unknown):
        return not_known(_NO_ENGINE)
    hook = facts.toolkit.hook
    known = [name for name in found.runtimes if name.startswith("nvidia")]
    if isinstance(hook, str):
        more = f", runtime {known[0]}" if known else ""
        return ok(f"the engine finds {hook}{more}")
    if known and isinstance(hook, Unknown):
        return ok(f"runtime {known[0]}; {hook.why}")
    if isinstance(hook, Unknown):
        return not_known(hook)
    return Finding(
        "error",
        "the engine has no nvidia-container-runtime-hook on its PATH: no container can "
        "have a GPU",
        "sudo apt-get install nvidia-container-toolkit && "
        "sudo systemctl restart docker",
    )


def default_runtime(facts: Facts) -> Finding:
    found = facts.engine
    if isinstance(found, Unknown):
        return not_known(_NO_ENGINE)
    if found.default_runtime.startswith("nvidia"):
        return Finding(
            "warning",
            f"'{found.default_runtime}' is the engine's default runtime: containers "
            "made past DS01 see every GPU that their image or environment names",
            "sudo nvidia-ctk runtime configure --runtime=docker --set-as-default=false "
            "&& sudo systemctl restart docker",
        )
    return ok(f"{found.default_runtime}")


def envvar(facts: Facts) -> Finding:
    driver, config = facts.driver, facts.toolkit.config
    if isinstance(driver, DriverFacts) and not driver.is_there:
        return ok("this host has no NVIDIA GPU, the setting does not matter")
    if isinstance(config, Unknown):
        return not_known(config)
    match = _SETTING_LINE.search(config or "")
    if match and match[1] == "false":
        # Docker's --gpus is carried to the hook by that variable.
        return Finding(
            "warning",
            f"{_SETTING} is false: the toolkit may refuse the GPUs that DS01 gives",
            f"sudo nvidia-ctk config --in-place --set {_SETTING}=true",
        )
    return ok(
        "the toolkit reads NVIDIA_VISIBLE_DEVICES, which DS01 sets for its containers"
    )


# What NVML says, and what helps.
_DRIVER_FIXES = (
    ("different versions", "sudo reboot"),
    ("not loaded", "sudo modprobe nvidia"),
    ("cannot be loaded", "sudo apt-get install --reinstall nvidia-driver"),
    ("nvidia-ml-py", "sudo ./install.sh"),
)


def driver(facts: Facts) -> Finding:
    found = facts.driver
    if isinstance(found, Unknown):
        return not_known(found)
    if found.error:
        fixes = [fix for words, fix in _DRIVER_FIXES if words in found.error]
        both = (
            f" (module {found.module}, library {found.library})"
            if found.module and found.library and found.module != found.library
            else ""
        )
        return Finding("error", found.error + both, (fixes or ["nvidia-smi"])[0])
    if not found.is_there:
        return ok("this host has no NVIDIA GPU")
    if found.module and found.library and found.module != found.library:
        return Finding(
            "warning",
            f"module {found.module} and library {found.library} differ: new programs "
            "cannot use the GPUs",
            "sudo reboot",
        )
    version = found.module or found.library
    return ok(f"version {version}" if version else "the NVIDIA driver answers")


def devices(facts: Facts) -> Finding:
    """GPUs that cannot be handed out, though they should."""
    found = facts.driver
    if isinstance(found, Unknown):
        return not_known(found)
    if found.error:
        return not_known(Unknown("not looked at, because the driver does not answer"))
    if not found.devices:
        return ok("this host has no GPU: containers run without")
    bad = [
        f"{item.device.index or item.device.uuid} is {item.state} ({item.why})"
        for item in found.devices
        if item.state in {"sick", "lost", "foreign", "dirty", "unknown"}
    ]
    if bad:
        return Finding("warning", "; ".join(bad), "gpu-status")
    free = sum(item.state == "free" for item in found.devices)
    return ok(f"{counted(len(found.devices), 'device')} in order, {free} free")


def mig(facts: Facts) -> Finding:
    """The MIG layout, which a reboot loses."""
    found = facts.driver
    if isinstance(found, Unknown):
        return not_known(found)
    if found.error:
        return not_known(Unknown("not looked at, because the driver does not answer"))
    empty = [item.device for item in found.devices if item.state == "mig-empty"]
    if empty:
        index = empty[0].index or empty[0].uuid
        return Finding(
            "warning",
            f"GPU {', '.join(device.index for device in empty)} is in MIG mode and has "
            "no instances, as after a reboot: nobody gets it until it has some",
            f"nvidia-smi mig -i {index} -lgip",
        )
    counted: dict[str, int] = {}
    for item in found.devices:
        if item.device.is_mig and item.state != "lost":
            profile = item.device.profile
            counted[profile] = counted.get(profile, 0) + 1
    if not counted:
        return ok("no GPU is divided")
    return ok(", ".join(f"{number} x {kind}" for kind, number in counted.items()))


CHECKS: Mapping[str, Callable[[Facts], Finding]] = {
    "engine": engine,
    "cgroups": cgroups,
    "driver": driver,
    "runtime": runtime,
    "default-runtime": default_runtime,
    "toolkit": envvar,
    "gpus": devices,
    "mig": mig,
    "cron": upkeep.cron,
    "rights": upkeep.rights,
    "records": upkeep.records,
    "disk": upkeep.disk,
    "policy": upkeep.policy,
    "catalog": upkeep.catalog,
    "mlc": upkeep.mlc,
    "hooks": upkeep.hooks,
    "uv": upkeep.uv,
    "programs": upkeep.programs,
    "parts": upkeep.parts,
    "metrics": upkeep.metrics,
}
_COLOURS = {"ok": "32", "warning": "33", "error": "31", "unknown": "36"}


def examine(facts: Facts) -> list[tuple[str, Finding]]:
    """Return what every check finds."""
    return [(name, check(facts)) for name, check in CHECKS.items()]


def exit_status(findings: Sequence[Finding]) -> Exit:
    """Return the status of the worst finding."""
    errors = [finding for finding in findings if finding.level == "error"]
    if not errors:
        return Exit.OK
    if all(finding.is_config for finding in errors):
        return Exit.CONFIG
    return Exit.PREREQUISITE


def report(found: Sequence[tuple[str, Finding]], colour: bool) -> str:
    """Return the findings as lines for people, what mends one below it."""
    wide = max(table.width(name) for name, _ in found)
    lines = []
    for name, finding in found:
        level = f"{finding.level:<7}"
        if colour:
            level = f"\033[{_COLOURS[finding.level]}m{level}\033[0m"
        lines.append(f"{level}  {name:<{wide}}  {finding.text}")
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
