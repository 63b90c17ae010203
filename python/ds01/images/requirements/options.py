"""Options of a requirements file: where packages come from, and how they are chosen.

`parse_option` takes pip's spelling. What of it a requirements file may say to both
installers is `file_lines`, the rest are flags of uv (`uv_flags`) or pip (`pip_flags`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ds01.core.yaml_source import did_you_mean
from ds01.images.requirements.words import NAME, check_line, check_url, hide_password

# True: with a value.
OPTIONS: dict[str, bool] = {
    "--index-url": True,
    "--extra-index-url": True,
    "--find-links": True,
    "--no-index": False,
    "--pre": False,
    "--prefer-binary": False,
    "--no-binary": True,
    "--only-binary": True,
    "--trusted-host": True,
    "--require-hashes": False,
}
_SYNONYMS = {"-i": "--index-url", "-f": "--find-links", "--pypi-url": "--index-url"}
_URLS = ("--index-url", "--extra-index-url", "--find-links")
_CHOICES = ("--no-binary", "--only-binary")
_NAMES = re.compile(rf":(?:all|none):|{NAME}(?:,{NAME})*", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9*](?:[A-Za-z0-9.*-]*[A-Za-z0-9])?(?::[0-9]+)?", re.ASCII)


def parse_option(text: str) -> str:
    """Return an option as `--name` or `--name value`; raises ValueError."""
    try:
        return _parsed(text)
    except ValueError as error:
        raise ValueError(hide_password(str(error))) from error


def _parsed(text: str) -> str:
    check_line(text)
    name, value = _split(text.strip())
    name = _SYNONYMS.get(name, name)
    if name not in OPTIONS:
        raise ValueError(
            f"option '{name}' is not supported{did_you_mean(name, OPTIONS)}"
        )
    if OPTIONS[name] != bool(value):
        what = "needs a value" if OPTIONS[name] else "takes no value"
        raise ValueError(f"option '{name}' {what}")
    if name in _URLS:
        if "://" not in value:
            what = (
                "name the wheels themselves" if name == "--find-links" else "use https"
            )
            raise ValueError(f"option '{name}': '{value}' is not a URL, {what}")
        check_url(value)
    if name in _CHOICES and not _NAMES.fullmatch(value):
        raise ValueError(f"option '{name}': '{value}' is not a list of packages")
    if name == "--trusted-host" and not _HOST.fullmatch(value):
        raise ValueError(f"option '{name}': '{value}' is not a host")
    return f"{name} {value}" if value else name


def file_lines(options: Iterable[str]) -> tuple[str, ...]:
    """Return the options that a requirements file may hold for uv and pip alike."""
    lines: list[str] = []
    for option in options:
        name, _, value = option.partition(" ")
        if name in _CHOICES:
            lines += [f"{name} {part}" for part in value.split(",")]
        elif name in _URLS or name == "--no-index":
            lines.append(option)
    return tuple(lines)


def uv_flags(options: Iterable[str]) -> tuple[str, ...]:
    """Return the words for `uv pip compile` and `uv pip install`.

    pip takes the best version of all indexes; uv does so when told.
    """
    flags: list[str] = []
    for option in options:
        name, _, value = option.partition(" ")
        if name == "--extra-index-url" and "--index-strategy" not in flags:
            flags += ["--index-strategy", "unsafe-best-match"]
        elif name == "--pre":
            flags += ["--prerelease", "allow"]
        elif name == "--trusted-host":
            flags += ["--allow-insecure-host", value]
        elif name == "--require-hashes":
            flags.append(name)
    return tuple(flags)


def pip_flags(options: Iterable[str]) -> tuple[str, ...]:
    """Return the words for `pip install`."""
    flags: list[str] = []
    for option in options:
        name, _, value = option.partition(" ")
        if name == "--trusted-host":
            flags += [name, value]
        elif name in {"--pre", "--require-hashes"}:
            flags.append(name)
    return tuple(flags)


def _split(text: str) -> tuple[str, str]:
    short = re.fullmatch(r"(-[if])\s*=?\s*(\S.*)", text)
    if short:
        return short[1], short[2]
    name, _, value = re.sub(r"[=\s]\s*", " ", text, count=1).partition(" ")
    return name, value.strip().strip("'\"")
