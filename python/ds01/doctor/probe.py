"""Finds out the facts that ds01-doctor looks at; changes nothing.

Each probe is on its own: what fails becomes an Unknown in its place.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import HelperError
from ds01.core.mlc import usable
from ds01.core.owner import user_name
from ds01.core.paths import PROJECT_ROOT, Paths
from ds01.doctor import config, facts
from ds01.doctor.facts import Answer, Facts, Unknown
from ds01.gpus.ledger import document
from ds01.images.shelf import catalog
from ds01.images.versions import workshop
from ds01.policy import limits
from ds01.policy import types as policy_types
from ds01.records import documents, outlooks, passes
from ds01.usage import metrics

HOOK = "nvidia-container-runtime-hook"
_USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TOOLKIT_CONFIG = Path("/etc/nvidia-container-runtime/config.toml")
_MODULE = re.compile(r"Kernel Module\D*?(\d+\.\d+(?:\.\d+)?)")
_LIBRARY = re.compile(r"libnvidia-ml\.so\.(\d+\.\d+(?:\.\d+)?)")
_LIMITS = {
    "MemoryLimit": "memory",
    "SwapLimit": "swap",
    "CpuCfsQuota": "CPUs",
    "PidsLimit": "processes",
}
# What Debian calls the programs that commands call.
_PROGRAMS = {"docker": "docker.io", "jq": "jq", "flock": "util-linux", "git": "git"}
_CRONS = frozenset({"cron", "crond", "fcron", "systemd-cron"})


def gather(paths: Paths) -> Facts:
    """Return all facts."""
    try:
        settled = settings.load_settings(paths.settings)
    except HelperError:
        settled = settings.Settings()
    address = settings.engine_address(settled)
    engine = read_engine(address)
    loaded = _policy(paths)
    system = paths.etc.parent.name == "etc"
    return Facts(
        now=datetime.now(timezone.utc),
        uid=os.getuid(),
        user=user_name(),
        is_system=system,
        address=address,
        engine=engine,
        driver=_tried(lambda: read_driver(paths, address)),
        toolkit=read_toolkit(address),
        cron=read_cron(paths.etc.parent / "cron.d/ds01"),
        last_pass=passes.pass_info(paths),
        folders=tuple(
            read_folder(path) for path in (paths.state, paths.metadata, paths.log)
        ),
        documents=tuple(broken_documents(paths)),
        disks=tuple(read_disks(paths, engine)),
        verdicts=tuple(config.check_all(paths)),
        catalog=_tried(lambda: read_catalog(settled)),
        mlc=read_mlc(settled),
        hooks=read_hooks(paths.hooks),
        uv=_tried(lambda: read_uv(address)),
        missing=tuple(
            package
            for program, package in _PROGRAMS.items()
            if shutil.which(program) is None
        ),
        parts=tuple(read_parts(paths.etc.parent)) if system else (),
        metrics=read_metrics(settled),
        engine_group=group_of(address),
        min_free=loaded.images.min_free_disk if loaded else None,
        installer=PROJECT_ROOT / "install.sh",
    )


def _tried(probe: Callable[[], facts.T]) -> Answer[facts.T]:
    try:
        return probe()
    except HelperError as error:
        return Unknown(error.message, typed(error.hint))
    except OSError as error:
        return Unknown(str(error))


def _policy(paths: Paths) -> policy_types.Policy | None:
    with contextlib.suppress(HelperError):
        return limits.load_policy(paths.policy)
    return None


def typed(hint: str | None) -> str:
    """Return the command of a hint such as `run 'docker info', or ask …`."""
    match = re.match(r"run '([^']+)'", hint or "")
    return match[1] if match else ""


def read_engine(address: str) -> Answer[facts.EngineFacts]:
    """Ask the engine about itself."""
    try:
        with Engine(address, timeout=10) as engine:
            version, info = engine.get("/version") or {}, engine.get("/info") or {}
    except HelperError as error:
        return Unknown(error.message, typed(error.hint))
    return facts.EngineFacts(
        version=str(version.get("Version", "")),
        api=str(version.get("ApiVersion", "0.0")),
        cgroup_driver=str(info.get("CgroupDriver", "")),
        cgroup_version=str(info.get("CgroupVersion", "")),
        default_runtime=str(info.get("DefaultRuntime", "")),
        runtimes=tuple(info.get("Runtimes") or ()),
        root=Path(str(info.get("DockerRootDir") or "/var/lib/docker")),
        lacks=tuple(name for key, name in _LIMITS.items() if info.get(key) is False),
    )


def group_of(address: str) -> str:
    """Return the group whose members may use the engine."""
    path = Path(address.removeprefix("unix://"))
    with contextlib.suppress(OSError, KeyError):
        name = path.group()
        if path.is_socket() and name != "root":
            return name
    return "docker"


def read_driver(paths: Paths, address: str) -> facts.DriverFacts:
    """Ask NVML, the kernel and the linker about the driver, the allocator about the
    devices."""
    from ds01.gpus.allocator.desk import Desk  # noqa: PLC0415
    from ds01.gpus.allocator.report import status  # noqa: PLC0415

    found = status(Desk(paths, address))
    module = None
    with contextlib.suppress(OSError):
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
        match = _MODULE.search(text)
        module = match[1] if match else None
    return facts.DriverFacts(
        module=module,
        library=_library_version(),
        error=found.nvml,
        devices=found.devices,
        char_links=tuple(missing_links(Path("/dev"))),
    )


def _library_version() -> str | None:
    """Return the version in the file name that the linker's link leads to."""
    for folder in (
        Path("/usr/lib/x86_64-linux-gnu"),
        Path("/usr/lib/aarch64-linux-gnu"),
        Path("/usr/lib64"),
        Path("/usr/lib"),
    ):
        with contextlib.suppress(OSError):
            match = _LIBRARY.search((folder / "libnvidia-ml.so.1").resolve().name)
            if match:
                return match[1]
    return None


def missing_links(dev: Path) -> Iterator[str]:
    """Yield the NVIDIA devices for which systemd would find no link in /dev/char."""
    with contextlib.suppress(OSError):
        for node in sorted(dev.glob("nvidia*")):
            found = node.stat()
            if stat.S_ISCHR(found.st_mode):
                number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
                if not (dev / "char" / number).exists():
                    yield str(node)


def read_toolkit(address: str) -> facts.ToolkitFacts:
    """Look for NVIDIA's hook where the engine looks, and read its configuration."""
    config: Answer[str | None]
    try:
        config = _TOOLKIT_CONFIG.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        config = None
    except OSError as error:
        config = Unknown(f"'{_TOOLKIT_CONFIG}' cannot be read: {error.strerror}")
    where = _engine_path(address)
    hook = shutil.which(HOOK, path=where if isinstance(where, str) else _USUAL_PATH)
    if hook is None and isinstance(where, Unknown):
        return facts.ToolkitFacts(where, config)
    return facts.ToolkitFacts(hook, config)


def _engine_path(address: str) -> Answer[str]:
    """Return the PATH of the engine's process, known by its socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(address.removeprefix("unix://"))
            data = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid = struct.unpack("3i", data)[0]
        # Where systemd made the socket, it is the peer.
        if pid == 1:
            pid = int(Path("/run/docker.pid").read_text(encoding="ascii"))
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:
        return Unknown(f"only root sees where the engine looks for {HOOK}")
    except (OSError, ValueError):
        return _USUAL_PATH
    for entry in environment.split(b"\0"):
        if entry.startswith(b"PATH="):
            return os.fsdecode(entry[5:])
    return _USUAL_PATH


def read_cron(file: Path) -> facts.CronFacts:
    """Is there a crontab of DS01, and does a cron daemon run?"""
    runs: Answer[bool] = False
    seen = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            seen += 1
            name = (folder / "comm").read_text(encoding="utf-8").strip()
            if name in _CRONS:
                runs = True
                break
    if not runs and os.getuid() != 0 and not Path("/proc/1/comm").exists():
        runs = Unknown("other users' processes are hidden here")
    has_systemd = Path("/run/systemd/system").is_dir()
    return facts.CronFacts(file, file.is_file(), runs, has_systemd)


def read_folder(path: Path) -> facts.FolderFacts:
    """Look at the rights of a folder of ours, and of the files in it."""
    try:
        found = path.stat()
        entries = list(os.scandir(path)) if os.access(path, os.R_OK | os.X_OK) else []
    except OSError:
        return facts.FolderFacts(path, is_there=False)
    problem = None
    for entry in entries:
        with contextlib.suppress(OSError):
            kept = entry.stat(follow_symlinks=False)
            shared = entry.name.endswith((".json", ".jsonl", ".log", ".lock"))
            # The pass alone writes what it decides by.
            shared = shared and entry.name != outlooks.FILE
            all_of_group = kept.st_gid == found.st_gid and kept.st_mode & 0o020
            if stat.S_ISREG(kept.st_mode) and shared and not all_of_group:
                problem = problem or path / entry.name
    if not found.st_mode & 0o020:
        problem = None
    return facts.FolderFacts(
        path,
        True,
        stat.S_IMODE(found.st_mode),
        _group_name(found.st_gid),
        os.access(path, os.W_OK | os.X_OK),
        problem,
    )


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def broken_documents(paths: Paths) -> Iterator[tuple[Path, str]]:
    """Yield the documents that cannot be used, with the reason."""
    for path, parse in (
        (document.path_of(paths), document.parse),
        (outlooks.path_of(paths), passes.parse),
    ):
        try:
            raw = documents.read_document(path)
            if raw is not None:
                parse(raw)
        except HelperError:
            continue  # no right to read it: that is the check of rights
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            yield path, " ".join(str(error).split()) or type(error).__name__
    with contextlib.suppress(OSError):
        for path in sorted(paths.metadata.glob("*.json")):
            try:
                json.loads(path.read_bytes())
            except (ValueError, OSError) as error:
                yield path, str(error)


def read_disks(
    paths: Paths, engine: Answer[facts.EngineFacts]
) -> Iterator[facts.DiskFacts]:
    """Yield the file systems that the engine and DS01 write, each once."""
    places = {"state": paths.state, "log": paths.log, "temporary": Path("/tmp")}  # noqa: S108
    if not isinstance(engine, Unknown):
        places = {"engine": engine.root, **places}
    seen: set[int] = set()
    for place, path in places.items():
        with contextlib.suppress(OSError):
            found = os.statvfs(path)
            device = path.stat().st_dev
            if device in seen:
                continue
            seen.add(device)
            size, free = (
                found.f_blocks * found.f_frsize,
                found.f_bavail * found.f_frsize,
            )
            inodes = found.f_favail if found.f_files else None
            yield facts.DiskFacts(place, path, size, free, inodes)


def read_catalog(settled: settings.Settings) -> tuple[str, int]:
    """Return this host's architecture, and how many images there are for it."""
    architecture = catalog.chosen_architecture(None, settled)
    entries = catalog.merged(settled, settings.mlc_home(settled))
    return architecture, len(list(usable(entries, architecture)))


def read_mlc(settled: settings.Settings) -> facts.MlcFacts:
    """Start the mlc in use once, as the commands do."""
    try:
        home = settings.mlc_home(settled)
    except HelperError as error:
        unknown = Unknown(error.message, typed(error.hint))
        return facts.MlcFacts(settings.OUR_MLC, False, unknown)
    is_ours = home.resolve() == settings.OUR_MLC.resolve()
    script = home / "mlc.py"
    words = ["python3", str(script), "-v"]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = f"the mlc in '{home}' does not start: {error}"
        return facts.MlcFacts(home, is_ours, Unknown(why, " ".join(words)))
    text = done.stdout.strip().splitlines()
    if done.returncode == 0 and text:
        return facts.MlcFacts(home, is_ours, text[-1].removeprefix("mlc").strip())
    why = f"the mlc in '{home}' does not start"
    if not script.exists():
        why = f"there is no 'mlc.py' in '{home}'"
    elif not is_ours and not sys.stdin.isatty():
        why += "; AIME's own needs a login terminal"
    return facts.MlcFacts(home, is_ours, Unknown(why, " ".join(words)))


def read_hooks(folder: Path) -> Answer[tuple[facts.HookFacts, ...]]:
    """Look at the site's hooks as somebody who is not root would run them."""
    found: list[facts.HookFacts] = []
    try:
        for command in sorted(folder.iterdir()) if folder.exists() else []:
            if not command.is_dir():
                continue
            for path in sorted(command.iterdir()):
                if path.name.startswith(("pre-", "post-")) and path.is_file():
                    mode = path.stat().st_mode
                    found.append(
                        facts.HookFacts(
                            path,
                            (PROJECT_ROOT / "bin" / command.name).exists(),
                            mode & 0o005 == 0o005,
                            bool((mode | command.stat().st_mode) & 0o002),
                        )
                    )
    except OSError as error:
        path = error.filename or folder
        return Unknown(
            f"'{path}' cannot be read: {error.strerror}", f"sudo chmod a+rx {path}"
        )
    return tuple(found)


def read_uv(address: str) -> tuple[str | None, bool]:
    """Return the version of uv in DS01's environment, and if its image is made."""
    version = workshop.uv_version()
    if version == "none":
        return None, False
    with Engine(address, timeout=10) as engine:
        return version, engine.image(f"ds01/uv:{version}") is not None


# Where install.sh puts what belongs to the system: file below /etc, and its source.
PARTS = {
    "cron.d/ds01": "cron.d/ds01",
    "logrotate.d/ds01": "logrotate.d/ds01",
    "profile.d/ds01.sh": "profile.d/ds01.sh",
}


def read_parts(etc: Path) -> Iterator[facts.PartFacts]:
    """Yield how the files in the system's folders are."""
    for name, source in PARTS.items():
        path = etc / name
        if not path.is_file():
            yield facts.PartFacts(path, "missing")
            continue
        with contextlib.suppress(OSError):
            same = path.read_bytes() == (PROJECT_ROOT / "config" / source).read_bytes()
            yield facts.PartFacts(path, "ok" if same else "differs")


def read_metrics(settled: settings.Settings) -> Answer[facts.MetricsFacts]:
    """Find out where metrics go, and when they were written."""
    folder = settings.metrics_folder(settled)
    if folder is None:
        return facts.MetricsFacts(None)
    try:
        written = (folder / metrics.FILE).stat().st_mtime
    except FileNotFoundError:
        return facts.MetricsFacts(folder)
    except OSError as error:
        return Unknown(f"'{folder}' cannot be looked at: {error.strerror}")
    moment = datetime.fromtimestamp(written, timezone.utc)
    return facts.MetricsFacts(folder, moment)
