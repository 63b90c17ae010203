"""Checks all configuration files, one by one: ds01.yaml, policy, packages, catalog."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ds01.core import mlc, settings
from ds01.core.errors import HelperError
from ds01.core.paths import Paths
from ds01.core.program import say as say_line
from ds01.core.yaml_source import ConfigError, read_text
from ds01.images.source import packages
from ds01.policy import limits
from ds01.policy import types as policy_types

_JOB = "check_config"


@dataclass(frozen=True)
class Verdict:
    """What was found about one file."""

    path: Path
    problems: tuple[str, ...] = ()
    hint: str | None = None
    warnings: tuple[str, ...] = ()


def check_all(paths: Paths) -> list[Verdict]:
    """Return the verdicts on all configuration files, one file's fault or not."""
    verdicts: list[Verdict] = []
    found: dict[str, object] = {}

    def check(path: Path, load: Callable[[Path], object]) -> None:
        try:
            found[path.name] = load(path)
        except ConfigError as error:
            verdicts.append(Verdict(path, error.problems))
        except HelperError as error:
            verdicts.append(Verdict(path, (error.message,), error.hint))
        else:
            verdicts.append(Verdict(path, (), None, _rights(path)))

    check(paths.settings, settings.load_settings)
    check(paths.policy, limits.load_policy)
    check(paths.etc / "packages.yaml", packages.load_packages)
    installed = found.get(paths.settings.name)
    catalog = (
        settings.site_catalog(installed)
        if isinstance(installed, settings.Settings)
        else paths.etc / "site-images.repo"
    )
    # A site without images of its own needs no file.
    if catalog is not None and not _is_missing(catalog):
        check(catalog, _load_catalog)
    loaded = found.get(paths.policy.name)
    if isinstance(loaded, policy_types.Policy):
        warnings = list(loaded.warnings)
        if isinstance(installed, settings.Settings) and not installed.cgroup_parent:
            warnings += _caps_without_parent(loaded, paths.settings)
        verdicts = [
            Verdict(one.path, one.problems, one.hint, (*one.warnings, *warnings))
            if one.path == paths.policy
            else one
            for one in verdicts
        ]
    return verdicts


def _caps_without_parent(loaded: policy_types.Policy, file: Path) -> list[str]:
    """Return a warning for every cap that cannot hold without a common cgroup."""
    layers = [loaded.defaults]
    layers += [group.limits for group in loaded.groups.values()]
    layers += [override.limits for override in loaded.overrides.values()]
    return [
        f"{entry.place}: {name}: has no effect, because cgroup_parent in "
        f"'{file}' is null"
        for layer in layers
        for name, entry in layer.items()
        if name.startswith("aggregate.") and entry.value is not None
    ]


def _rights(path: Path) -> tuple[str, ...]:
    """Return a warning for a file that anybody could change."""
    if path.stat().st_mode & stat.S_IWOTH:
        return (f"{path}: can be changed by everybody, run 'chmod o-w {path}'",)
    return ()


def _is_missing(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _load_catalog(path: Path) -> object:
    """Read the site's catalog as the commands do; ConfigError has every wrong line."""
    problems: list[str] = []
    for number, line in enumerate(read_text(path).splitlines()):
        try:
            mlc.parse("\n" * number + line, str(path))
        except mlc.MlcError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError(problems)
    return True


def report(verdicts: Sequence[Verdict]) -> None:
    """Print the verdicts for people."""
    for verdict in verdicts:
        for warning in verdict.warnings:
            say_line("warning", warning, _JOB)
        for problem in verdict.problems:
            say_line("error", problem, _JOB)
        if verdict.hint:
            say_line("hint", verdict.hint, _JOB)
        if not verdict.problems:
            print(f"ok {verdict.path}")
