"""Finds out the facts that ds01-doctor looks at; changes nothing.

Each probe is on its own: what fails becomes an Unknown in its place.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import shutil
import stat
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
from ds01.doctor import config, facts, host
from ds01.doctor.facts import Answer, Facts, Unknown
from ds01.doctor.host import typed
from ds01.gpus.ledger import document
from ds01.images.shelf import catalog
from ds01.images.versions import workshop
from ds01.policy import limits
from ds01.policy import types as policy_types
from ds01.records import documents, passes
from ds01.usage import metrics

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
    engine = host.read_engine(address)
    loaded = _policy(paths)
    system = paths.etc.parent.name == "etc"
    return Facts(
        now=datetime.now(timezone.utc),
        uid=os.getuid(),
        user=user_name(),
        is_system=system,
        address=address,
        engine=engine,
        driver=_tried(lambda: host.read_driver(paths, address)),
        toolkit=host.read_toolkit(address),
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
        engine_group=host.group_of(address),
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
            shared = shared and entry.name != passes.FILE
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
        (passes.path_of(paths), passes.parse),
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
