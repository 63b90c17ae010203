"""What holds for a user, the server and the installation, as rows with its origin."""

from __future__ import annotations

import os
from datetime import datetime

from ds01.core import settings, units
from ds01.core.paths import Paths
from ds01.policy import sections
from ds01.policy import types as policy_types
from ds01.policy.types import Effective, Exemption, Policy

_JOB = "show_config"
_VARIABLES = {
    "mlc_home": "DS01_MLC_HOME",
    "engine_socket": "DOCKER_HOST",
    "architecture": "MLC_ARCH",
}


def settings_rows(paths: Paths) -> list[dict[str, str | None]]:
    """Return key, value and origin of every setting, the environment's included."""
    found = settings.load_settings(paths.settings)
    rows: list[dict[str, str | None]] = []
    for key, written in found._asdict().items():
        origin = str(paths.settings) if written is not None else "built-in"
        variable = _VARIABLES.get(key, "")
        told = os.environ.get(variable)
        if told:
            origin = f"environment {variable}"
        rows.append({"key": key, "value": told or written, "origin": origin})
    rows += [
        {"key": f"{name}_dir", "value": str(folder), "origin": "installation"}
        for name, folder in paths._asdict().items()
    ]
    return rows


def exemptions_of(
    loaded: Policy, user: policy_types.User, now: datetime
) -> dict[str, Exemption]:
    """Return the exemptions of a user that hold now, by limit."""
    return {
        limit: exemption
        for exemption in loaded.exemptions
        if exemption.user == user.name
        and (exemption.until is None or exemption.until > now)
        for limit in exemption.limits
    }


def limit_rows(
    effective: Effective, exemptions: dict[str, Exemption]
) -> list[list[str]]:
    """Return key, value and origin of every limit, as text."""
    rows: list[list[str]] = []
    for key, text in effective.texts.items():
        origin = effective.origins[key]
        place = effective.places.get(key, "")
        if place:
            origin += f" ({_line(place)})"
        if key in exemptions:
            until = exemptions[key].until
            origin += ", exempt" + (
                f" until {units.format_time(until)}" if until else ""
            )
        rows.append([key, text, origin])
    return rows


def server_rows(loaded: Policy) -> list[dict[str, str]]:
    """Return key, value and origin of what the policy says of the whole server."""
    rows: list[dict[str, str]] = []
    for section, keys in sections.SECTIONS.items():
        for key in keys:
            path = f"{section}.{key.name}"
            entry = loaded.server.get(path)
            built_in = key.null_means if key.default == "null" else key.default
            value = built_in if entry is None else entry.text
            origin = (
                "built-in" if entry is None else f"{section} ({_line(entry.place)})"
            )
            rows.append({"key": path, "value": value, "origin": origin})
    return rows


def _line(place: str) -> str:
    return f"line {place.rsplit(':', 1)[1]}"
