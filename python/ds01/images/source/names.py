"""Names of custom images: `ds01/<owner>/<name>:latest`, and what may be one.

Whatever passes here holds no character that a shell, a Dockerfile, a path or a label
could take for its own.
"""

from __future__ import annotations

import re

from ds01.core.errors import Exit, HelperError

PREFIX = "ds01"
NAME_RULE = (
    "a name is lower-case letters and digits, parts joined by single '-', '.' or '_', "
    "at most 63 characters"
)

# Stricter than a component of https://github.com/distribution/reference.
_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", re.ASCII)
_LONGEST = 63
_OWNER = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", re.ASCII)
_LONGEST_OWNER = 64
_UNFIT = re.compile(r"[^a-z0-9]+")

# [HOST[:PORT]/]PATH[:TAG][@DIGEST], https://github.com/distribution/reference
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:(?:localhost|{_LABEL}(?:\.{_LABEL})+)(?::[0-9]+)?|{_LABEL}:[0-9]+)"
_COMPONENT = _OWNER.pattern
IMAGE = re.compile(
    rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)


def is_name(text: str) -> bool:
    """May a custom image be called so?"""
    return len(text) <= _LONGEST and _NAME.fullmatch(text) is not None


def check_name(text: str) -> str:
    """Return the name of a custom image; raises HelperError(USAGE) with the rule."""
    if is_name(text):
        return text
    close = _UNFIT.sub("-", text.lower()).strip("-")[:_LONGEST].strip("-")
    hint = f"{NAME_RULE}, such as '{close or 'my-image'}'"
    raise HelperError(Exit.USAGE, f"'{text}' is not a name for an image", hint)


def check_image(text: str) -> str:
    """Return an image as engines name it; raises HelperError(USAGE) otherwise."""
    if len(text) > 400 or not IMAGE.fullmatch(text):
        raise HelperError(
            Exit.USAGE,
            f"'{text}' is not an image name",
            "write it as 'docker images' shows it, such as 'ds01/debian:bookworm'",
        )
    return text


def owner_part(user: str | None, uid: int) -> str:
    """Return how an owner is called inside image names.

    The login name where it can stand there and cannot be taken for a number, else the
    UID: names from a directory service may hold capitals, `@` or only digits.
    """
    if user and len(user) <= _LONGEST_OWNER and not user.isdigit():
        return user if _OWNER.fullmatch(user) else str(uid)
    return str(uid)


def reference(user: str | None, uid: int, name: str) -> str:
    """Return the full name of a user's image; raises HelperError(USAGE)."""
    return f"{PREFIX}/{owner_part(user, uid)}/{check_name(name)}:latest"
