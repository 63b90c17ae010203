"""The checks of ds01-doctor on DS01's own parts: pure, facts in, finding out.

What is looked at stands in facts.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ds01.core.text import age
from ds01.core.units import format_size
from ds01.doctor.facts import Facts, Finding, FolderFacts, Unknown, not_known, ok

# The crontab calls a pass every five minutes at most.
LATE = timedelta(minutes=15)
# Below this, commands fail in the middle.
_TOO_LITTLE = 1 << 30
_FEW_INODES = 10_000


def cron(facts: Facts) -> Finding:
    """Does cron call the lifecycle pass, and does it do its work?"""
    found, last = facts.cron, facts.last_pass
    late = last.at is None or facts.now - last.at > LATE
    when = (
        "never"
        if last.at is None
        else f"{age((facts.now - last.at).total_seconds())} ago"
    )
    if not facts.is_system:
        if late:
            return Finding(
                "warning",
                f"the last lifecycle pass was {when}; an installation for one user "
                "has no system crontab",
                "(crontab -l; echo '*/5 * * * * ds01-lifecycle') | crontab -",
            )
        return _passes(facts, when)
    if not found.is_there:
        return Finding(
            "error",
            f"'{found.file}' is missing: nothing calls the lifecycle pass",
            f"sudo {facts.installer}",
        )
    if found.runs is False:
        return Finding(
            "error",
            f"no cron daemon runs; the last lifecycle pass was {when}",
            "sudo systemctl enable --now cron" if found.has_systemd else "sudo cron",
        )
    if late:
        return Finding(
            "error",
            f"the last lifecycle pass was {when}",
            "sudo ds01-lifecycle",
        )
    return _passes(facts, when)


def _passes(facts: Facts, when: str) -> Finding:
    last = facts.last_pass
    if last.skipped:
        return Finding(
            "warning",
            f"the last lifecycle pass, {when}, did nothing: {last.skipped}",
            "ds01-lifecycle --dry-run",
        )
    return ok(f"the last lifecycle pass was {when} and took {last.took:.2f} s")


def _since(facts: Facts, moment: datetime) -> str:
    return age((facts.now - moment).total_seconds())


def rights(facts: Facts) -> Finding:
    """Can those who may use the engine write records and logs?"""
    for folder in facts.folders:
        problem = _folder(facts, folder)
        if problem is not None:
            return problem
    names = ", ".join(str(folder.path) for folder in facts.folders)
    return ok(f"{names} can be written")


def _folder(facts: Facts, folder: FolderFacts) -> Finding | None:
    path = folder.path
    install = f"sudo {facts.installer}" if facts.is_system else f"{facts.installer}"
    if not folder.is_there:
        return Finding("error", f"'{path}' does not exist", install, is_config=True)
    if facts.is_system and folder.mode & 0o2070 != 0o2070:
        return Finding(
            "error",
            f"'{path}' has mode {folder.mode:o} and not 2775: not all users can write",
            f"sudo chmod 2775 {path}",
            is_config=True,
        )
    if facts.is_system and facts.uid == 0 and folder.group != facts.engine_group:
        return Finding(
            "error",
            f"'{path}' belongs to the group '{folder.group}' and not to "
            f"'{facts.engine_group}', whose members use the engine",
            f"sudo chgrp -R {facts.engine_group} {path}",
            is_config=True,
        )
    if not folder.writable:
        return Finding(
            "error",
            f"you cannot write '{path}'",
            f"sudo usermod -aG {folder.group} {facts.user}",
            is_config=True,
        )
    if folder.problem is not None:
        return Finding(
            "error",
            f"'{folder.problem}' cannot be written by the group '{folder.group}'",
            f"sudo chgrp {folder.group} {folder.problem} && "
            f"sudo chmod g+rw {folder.problem}",
            is_config=True,
        )
    return None


def records(facts: Facts) -> Finding:
    """Can the documents of DS01 be read?"""
    if not facts.documents:
        return ok("all can be read")
    path, why = facts.documents[0]
    return Finding(
        "warning",
        f"'{path}' cannot be used ({why}); it is set aside and made anew by the next "
        "command that needs it",
        f"sudo mv {path} {path}.broken",
    )


def disk(facts: Facts) -> Finding:
    """Is there room where the engine and DS01 write?"""
    worst = ok("")
    words = []
    for item in facts.disks:
        free = format_free(item.free)
        words.append(f"{item.place} {free} free")
        fix = "docker system df" if item.place == "engine" else f"du -xhd1 {item.path}"
        wanted = facts.min_free if item.place == "engine" else None
        if item.free < min(_TOO_LITTLE, item.size // 20):
            return Finding("error", f"only {free} free in '{item.path}'", fix)
        if item.inodes is not None and item.inodes < _FEW_INODES:
            text = f"only {item.inodes} files more can be made in '{item.path}'"
            return Finding("error", text, f"df -i {item.path}")
        if wanted is not None and item.free < wanted:
            worst = Finding(
                "warning",
                f"{free} free in '{item.path}': no image is built below "
                f"{format_size(wanted)} (images.min_free_disk)",
                fix,
            )
    return worst if worst.text else ok(", ".join(words))


def format_free(size: int) -> str:
    """Return a size as people read it: `78g`, `3.4g`, `512m`."""
    for unit, factor in (("t", 1 << 40), ("g", 1 << 30), ("m", 1 << 20)):
        if size >= factor:
            value = size / factor
            return f"{value:.0f}{unit}" if value >= 10 else f"{value:.1f}{unit}"
    return f"{size >> 10}k"


def policy(facts: Facts) -> Finding:
    """Are all configuration files in order?"""
    for verdict in facts.verdicts:
        if verdict.problems:
            text = _first(verdict.problems)
            return Finding("error", text, "ds01-config check", is_config=True)
    warnings = [text for verdict in facts.verdicts for text in verdict.warnings]
    if warnings:
        return Finding("warning", _first(warnings), "ds01-config check")
    names = ", ".join(verdict.path.name for verdict in facts.verdicts)
    return ok(f"{names} are in order")


def _first(texts: Sequence[str]) -> str:
    more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
    return texts[0] + more


def catalog(facts: Facts) -> Finding:
    """Can the overlay's catalog be merged, and is anything in it for this host?"""
    found = facts.catalog
    if isinstance(found, Unknown):
        fix = found.hint or "ds01-config check"
        return Finding("error", found.why, fix, is_config=True)
    architecture, count = found
    if count == 0:
        return Finding(
            "warning",
            f"the catalog has no image for '{architecture}'",
            "ds01-config show",
        )
    return ok(f"{count} image{'s' if count > 1 else ''} for {architecture}")


def mlc(facts: Facts) -> Finding:
    found = facts.mlc
    if isinstance(found.version, Unknown):
        return Finding("error", found.version.why, found.version.hint)
    name = "the embedded mlc" if found.is_ours else f"the mlc in {found.home}"
    return ok(f"{name}, {found.version}")


def hooks(facts: Facts) -> Finding:
    """Would the site's hooks run, and can nobody but root change them?"""
    found = facts.hooks
    if isinstance(found, Unknown):
        # Commands refuse then.
        return Finding("error", found.why, found.hint, is_config=True)
    for hook in found:
        if hook.writable_by_others:
            return Finding(
                "error",
                f"everybody can change the hook '{hook.path}'",
                f"sudo chmod go-w {hook.path}",
                is_config=True,
            )
    for hook in found:
        if not hook.executable:
            refuses = hook.path.name.startswith("pre-")
            return Finding(
                "error" if refuses else "warning",
                f"the hook '{hook.path}' cannot be run by everybody"
                + (", so that its command refuses" if refuses else ""),
                f"sudo chmod a+rx {hook.path}",
                is_config=refuses,
            )
        if not hook.command_exists:
            command = hook.path.parent.name
            return Finding(
                "warning",
                f"there is no command '{command}' for the hook '{hook.path}'",
                f"sudo rm -r {hook.path.parent}",
            )
    return ok(f"{len(found)} hooks" if found else "none")


def uv(facts: Facts) -> Finding:
    """Is the installer for images' Python packages there?"""
    found = facts.uv
    if isinstance(found, Unknown):
        return not_known(found)
    version, has_image = found
    if version is None:
        return Finding(
            "error",
            "uv is not in DS01's Python environment: no image can be built",
            "sudo ./install.sh",
        )
    return ok(
        f"uv {version}"
        + ("" if has_image else "; its image is made by the first build of an image")
    )


def programs(facts: Facts) -> Finding:
    if facts.missing:
        packages = " ".join(facts.missing)
        return Finding(
            "error",
            f"programs are missing: {', '.join(facts.missing)}",
            f"sudo apt-get install {packages}",
        )
    return ok("all that the commands call are there")


def parts(facts: Facts) -> Finding:
    """Are crontab, log rotation and login notice in the system's folders?"""
    if not facts.is_system:
        return ok("an installation for one user has none in the system's folders")
    missing = [str(part.path) for part in facts.parts if part.state == "missing"]
    if missing:
        return Finding(
            "warning", f"missing: {', '.join(missing)}", f"sudo {facts.installer}"
        )
    other = [str(part.path) for part in facts.parts if part.state == "differs"]
    if other:
        return ok(f"changed by the administrator: {', '.join(other)}")
    return ok(", ".join(str(part.path) for part in facts.parts) + " are there")


def metrics(facts: Facts) -> Finding:
    found = facts.metrics
    if isinstance(found, Unknown):
        return not_known(found)
    if found.folder is None:
        return ok("not wanted, or no node_exporter is installed")
    if found.written is None or facts.now - found.written > LATE:
        when = "were never" if found.written is None else "are not any more"
        return Finding(
            "warning", f"metrics {when} written to '{found.folder}'", "ds01-lifecycle"
        )
    return ok(f"written to {found.folder} {_since(facts, found.written)} ago")
