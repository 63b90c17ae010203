"""Python requirements as people write them: one word each, checked and named.

A word is what stands on one line of a requirements file: `name[extra]>=1,<2; marker`,
`name @ URL`, `git+https://...`, a URL or a path of a wheel. Words never reach a shell:
they go into requirement files, one line each, and `parse_word` refuses whatever could
become a second line, an option or a comment there. Options are read by
requirement_options.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

Kind = Literal["index", "url", "git", "file"]

ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")
NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"

_EXAMPLE = 'as in "name[extra]>=1.2"'
_NO_SSH = (
    "an image has no SSH keys, write git+https://, with ${NAME}@ before the host where "
    "a token is needed"
)
_FOLLOWED = re.compile(rf"({NAME})\s*(?:\[[^\]]*\])?\s*=\s*[0-9]", re.ASCII)
_EGG = re.compile(rf"[#&]egg=({NAME})", re.ASCII)
_EXTRAS = re.compile(rf"\[{NAME}(?:,{NAME})*\]\Z", re.ASCII)
_HASH = r"--hash[= ](?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})"
_HASHES = re.compile(rf"(?:\s+{_HASH})+\Z")
_NAMED_URL = re.compile(
    rf"({NAME})(\s*\[[A-Za-z0-9._,\s-]*\])?\s*@\s*(\S+)(.*)", re.ASCII
)
# What most words are: these need no full parser, which is slow to load.
_NUMBER = r"[0-9]+(?:\.[0-9]+)*"
_VERSION = rf"{_NUMBER}(?:(?:a|b|rc)[0-9]+)?(?:\.post[0-9]+)?(?:\.dev[0-9]+)?"
_PIN = rf"(?:(?:==|!=|<=|>=|<|>) ?{_VERSION}|(?:==|!=) ?{_NUMBER}\.\*)"
_PLAIN = re.compile(
    rf"({NAME})(?:\[{NAME}(?:,{NAME})*\])? ?(?:{_PIN}(?: ?, ?{_PIN})*)?", re.ASCII
)
_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}", re.ASCII)
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!&()*+,;=%-]+", re.ASCII)
_SECRET_KEY = re.compile(
    r"token|passw|secret|credential|signature|\bsig\b|api.?key", re.I
)
# What else a path could hold means something to a Dockerfile or a requirements file.
_PATH = re.compile(r"[A-Za-z0-9._+@=~/-]+", re.ASCII)


@dataclass(frozen=True)
class Word:
    """One requirement.

    `name` is the package's normal name where the word tells it, `text` the line for a
    requirements file (with its hashes), `path` the local file that it needs.
    """

    kind: Kind
    text: str
    name: str | None = None
    path: str | None = None

    @property
    def key(self) -> str:
        """What two words have in common if the later one replaces the earlier."""
        return self.name or self.text


def normal_name(name: str) -> str:
    """Return a package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def variables(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the environment variables that lines refer to as `${NAME}`, sorted."""
    return tuple(sorted({name for line in lines for name in _VARIABLE.findall(line)}))


def parse_word(text: str) -> Word:
    """Return one requirement; raises ValueError saying what is wrong and what to do."""
    word = text.strip(" ")
    plain = _PLAIN.fullmatch(word)
    if plain and not word.endswith(ARCHIVES):
        return Word("index", word, normal_name(plain[1]))
    try:
        return _parsed(word)
    except ValueError as error:
        raise ValueError(hide_password(str(error))) from error


def key_of(text: str) -> str:
    """Return the key of a requirement; raises ValueError as parse_word."""
    return parse_word(text).key


def _parsed(word: str) -> Word:
    check_line(word)
    if word.startswith("-"):
        _refuse_option(word)
    hashes = _HASHES.search(word)
    suffix = ""
    if hashes:
        suffix = re.sub(r"\s+--hash[= ]", " --hash=", hashes[0])
        word = word[: hashes.start()].rstrip()
    if re.search(r"\s--?[A-Za-z]", word):
        raise ValueError(f"'{word}': options of a single package are not supported")
    if re.search(r"\s#", word):
        raise ValueError(f"'{word}' holds a comment")
    found = _url_word(word) or _file_word(word) or _index_word(word)
    return Word(found.kind, found.text + suffix, found.name, found.path)


def check_line(text: str) -> None:
    """Raise ValueError for what cannot be one line of a requirements file."""
    if not text:
        raise ValueError("a requirement cannot be empty")
    if not text.isprintable():
        raise ValueError(f"{text!r} holds a line break or a control character")
    if not text.isascii():
        raise ValueError(f"'{text}' holds letters that no package name or URL has")
    rest = _VARIABLE.sub("", text)
    for sign, advice in (("\\", ""), ("`", ""), ("$", ", write variables ${NAME}")):
        if sign in rest:
            raise ValueError(f"'{text}' must not hold '{sign}'{advice}")


def check_url(url: str) -> str:
    """Return an address of packages; raises ValueError, for a password in it too."""
    shown = hide_password(url)
    bare = _VARIABLE.sub("x", url)
    if not _URL.fullmatch(bare):
        raise ValueError(f"'{shown}' is not a URL")
    try:
        parts = urlsplit(bare)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"'{shown}' is not a URL: {error}") from error
    scheme = parts.scheme.lower()
    if scheme in {"git+ssh", "ssh", "git"}:
        raise ValueError(f"'{shown}': {_NO_SSH}")
    if scheme == "file" or scheme.startswith("git+file"):
        raise ValueError(f"'{shown}': write a local wheel as ./name.whl")
    if scheme not in {"http", "https", "git+https", "git+http"}:
        raise ValueError(f"'{shown}': '{scheme}' is not supported, use https")
    if not host:
        raise ValueError(f"'{shown}' names no host")
    if _has_password(url):
        raise ValueError(
            f"'{shown}' holds a password or token, which everybody could read in the "
            "image: write ${NAME} for it and set the variable NAME when you build"
        )
    return url


def hide_password(text: str) -> str:
    """Return a text without what stands between `//` and `@` in its URLs."""
    return re.sub(r"(://)([^/\s@]*(?:@[^/\s@]*)*)@", _hidden, text)


def _hidden(found: re.Match[str]) -> str:
    known = _VARIABLE.sub("", found[2]) in {"", ":"} or found[2] == "git"
    return found[0] if known else f"{found[1]}***@"


def _has_password(url: str) -> bool:
    authority = re.sub(r"\A[^:]*://", "", url)
    user, at, _ = re.split(r"[/?#]", authority, maxsplit=1)[0].rpartition("@")
    if at:
        name, colon, password = user.partition(":")
        secret = password if colon else name
        if not _VARIABLE.fullmatch(secret) and secret not in {"", "git"}:
            return True
    query = urlsplit(_VARIABLE.sub("", url)).query
    return any(value and _SECRET_KEY.search(key) for key, value in parse_qsl(query))


def check_path(text: str) -> str:
    """Return a path below the image's folder, tidied; raises ValueError."""
    if not _PATH.fullmatch(text):
        raise ValueError(
            f"'{text}': a path may hold letters, digits and . _ + @ = ~ - / only"
        )
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or text.startswith(("~", "-")):
        raise ValueError(f"'{text}' lies outside of the image's folder")
    if path == PurePosixPath() or text.endswith("/"):
        raise ValueError(f"'{text}' is not a file")
    return str(path)


def _refuse_option(word: str) -> None:
    if re.match(r"(-e|--editable)\b", word):
        raise ValueError(
            f"'{word}': the folder of an editable package is not in the image; build a "
            "wheel of it and name the wheel, or install it in the container"
        )
    raise ValueError(f"'{word}' is an option, not a package")


def _split_marker(word: str) -> tuple[str, str]:
    """Return a URL or path and the marker behind it, which needs a blank before it."""
    place, separator, marker = word.partition(" ;")
    return place.rstrip(), f" ;{marker}" if separator else ""


def _url_word(word: str) -> Word | None:
    """Return the word if it holds a URL, with or without a name before it."""
    if re.match(r"(?:git\+)?[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:(?!//)", word):
        raise ValueError(f"'{word}': {_NO_SSH}")
    named = _NAMED_URL.fullmatch(word)
    place, marker = (named[3], named[4]) if named else _split_marker(word)
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", place):
        if named:
            raise ValueError(f"'{word}': behind @ stands a URL; write ./name.whl alone")
        return None
    check_url(place)
    if marker.strip():
        _check_requirement("x @ https://x/x " + marker, word)
    if named:
        _check_requirement(f"{named[1]}{named[2] or ''} @ https://x/x", word)
    kind: Kind = "git" if place.startswith("git+") else "url"
    if kind == "url" and not urlsplit(place).path.endswith(ARCHIVES):
        raise ValueError(
            f"'{word}' is not an archive ({', '.join(ARCHIVES)}); write git+https:// "
            "for a repository"
        )
    egg = _EGG.search(place)
    name = named[1] if named else egg[1] if egg else None
    if name is None and kind == "url":
        name = archive_name(place)[0]
    return Word(kind, word, normal_name(name) if name else None)


def _file_word(word: str) -> Word | None:
    """Return the word if it is the path of a local archive."""
    place, marker = _split_marker(word)
    extras = _EXTRAS.search(place)
    bare = place[: extras.start()] if extras else place
    if not bare.endswith(ARCHIVES) and not bare.startswith((".", "/", "~")):
        return None
    path = check_path(bare)
    if not path.endswith(ARCHIVES):
        raise ValueError(
            f"'{word}' is a folder, which is not in the image; build a wheel of it and "
            "name the wheel"
        )
    if marker.strip():
        _check_requirement("x @ https://x/x " + marker, word)
    text = f"./{path}{extras[0] if extras else ''}{marker}"
    return Word("file", text, archive_name(path)[0], path)


def archive_name(place: str) -> tuple[str | None, str | None]:
    """Return name and version that the file name of an archive tells."""
    file = PurePosixPath(urlsplit(place).path).name
    parts = file.removesuffix(".whl").split("-")
    if file.endswith(".whl") and len(parts) >= 5:
        return normal_name(parts[0]), parts[1].replace("%2B", "+")
    found = re.fullmatch(
        rf"({NAME})-([0-9][A-Za-z0-9.!+]*?)(?:\.tar\.\w+|\.tgz|\.zip)", file
    )
    return (normal_name(found[1]), found[2]) if found else (None, None)


def _index_word(word: str) -> Word:
    name = _check_requirement(word, word)
    return Word("index", word, normal_name(name))


def _check_requirement(text: str, shown: str) -> str:
    """Return the name of a requirement of PEP 508; raises ValueError."""
    from packaging.requirements import (  # noqa: PLC0415 - slow to load
        InvalidRequirement,
        Requirement,
    )

    try:
        return Requirement(text).name
    except InvalidRequirement as error:
        advice = ", write ==" if _FOLLOWED.match(shown) else ""
        raise ValueError(
            f"'{shown}' is not a Python requirement{advice or ', ' + _EXAMPLE}"
        ) from error
