"""Which rule a request to the Docker API falls under, judged by its request line.

The engine decodes a path once and routes on the result, with or without a version in
front. So does this: `classify` returns the path that the engine will see, and the
gateway sends exactly that path on, encoded afresh. What could be understood in two
ways (`..`, `//`, control characters, a second layer of encoding) is refused, because
a policy that reads a path differently from the engine is no policy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import quote, unquote_to_bytes


class Rule(Enum):
    """What the gateway does with a request."""

    PASS = auto()  # stream it, look at nothing
    HIJACK = auto()  # stream it, and let it switch protocols
    CREATE = auto()  # rewrite the container
    RENAME = auto()  # no names that say another user's
    UPDATE = auto()  # refuse it for governed containers
    EXEC = auto()  # no privileged processes
    START = auto()  # no host configuration in the body
    BUILD = auto()  # the classic builder's containers
    GRPC = auto()  # builds of buildx, which speaks to BuildKit itself
    VOLUME = auto()  # no mounts of the host by way of a volume
    PULL = auto()  # images that exist only here
    NAME = auto()  # no image gets or loses a name of another user
    PRUNE = auto()  # nobody clears away others' images
    REFUSE = auto()  # would run things outside the policy


class OddRequestError(ValueError):
    """A request line that the gateway and the engine might read differently."""


@dataclass(frozen=True)
class Route:
    """A classified request: rule, the path to send on, query, the name in the path."""

    rule: Rule
    path: str
    query: str
    name: str = ""

    @property
    def target(self) -> str:
        """The request target to send to the engine."""
        return f"{self.path}?{self.query}" if self.query else self.path


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_VERSION = re.compile(r"/v[0-9.]+(?=/)")
# Characters that the engine would read as they stand, in a path.
_SAFE = "/:@!$&'()*+,;=~-._"
_ODD = re.compile(r"[\x00-\x20\x7f\\%?#]|//|/\.{1,2}(?:/|$)")

_HIJACK = (
    re.compile(r"/containers/(?P<name>[^/]+)/attach"),
    re.compile(r"/exec/(?P<name>[^/]+)/start"),
    re.compile(r"/session"),
)
_HIJACK_GET = (re.compile(r"/containers/(?P<name>[^/]+)/attach/ws"),)
_POST: tuple[tuple[re.Pattern[str], Rule], ...] = (
    (re.compile(r"/containers/create"), Rule.CREATE),
    (re.compile(r"/containers/(?P<name>[^/]+)/rename"), Rule.RENAME),
    (re.compile(r"/containers/(?P<name>[^/]+)/update"), Rule.UPDATE),
    (re.compile(r"/containers/(?P<name>[^/]+)/exec"), Rule.EXEC),
    (re.compile(r"/containers/(?P<name>[^/]+)/start"), Rule.START),
    (re.compile(r"/build"), Rule.BUILD),
    (re.compile(r"/grpc"), Rule.GRPC),
    (re.compile(r"/volumes/create"), Rule.VOLUME),
    (re.compile(r"/images/create"), Rule.PULL),
    (re.compile(r"/images/(?P<name>.+)/tag"), Rule.NAME),
    (re.compile(r"/commit"), Rule.NAME),
    (re.compile(r"/images/prune"), Rule.PRUNE),
)
_IMAGE = re.compile(r"/images/(?P<name>.+)")
# Swarm and plugins start processes that no create request describes.
_CLOSED = re.compile(r"/(?:swarm|services|nodes|secrets|configs|plugins)(?:/.*)?")


def split_target(target: str) -> tuple[str, str]:
    """Return (decoded path without a trailing slash, query as sent).

    Raises OddRequestError for anything but the plain origin form.
    """
    if not target.startswith("/"):
        raise OddRequestError(f"request target '{target[:80]}' does not start with '/'")
    if "#" in target:
        raise OddRequestError("request target has a fragment")
    raw, _, query = target.partition("?")
    if re.search(r"%(?![0-9A-Fa-f]{2})", raw):
        raise OddRequestError(f"path '{raw[:80]}' has a broken percent-encoding")
    try:
        path = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise OddRequestError(f"path '{raw[:80]}' is not UTF-8") from None
    if _ODD.search(path):
        raise OddRequestError(f"path '{raw[:80]}' could be read in two ways")
    return (path.rstrip("/") or "/"), query


def classify(method: str, target: str) -> Route:
    """Return the rule for a request line, and the path as it must be sent on."""
    if method not in _METHODS:
        raise OddRequestError(f"method '{method[:20]}' is not of the Docker API")
    path, query = split_target(target)
    sent = quote(path, safe=_SAFE)
    bare = path[version.end() :] if (version := _VERSION.match(path)) else path
    if method == "POST":
        for pattern, rule in _POST:
            if match := pattern.fullmatch(bare):
                return Route(rule, sent, query, match.groupdict().get("name", ""))
    hijacks = _HIJACK if method == "POST" else _HIJACK_GET if method == "GET" else ()
    for pattern in hijacks:
        if pattern.fullmatch(bare):
            return Route(Rule.HIJACK, sent, query)
    if method == "DELETE" and (match := _IMAGE.fullmatch(bare)):
        return Route(Rule.NAME, sent, query, match["name"])
    if method not in {"GET", "HEAD"} and _CLOSED.fullmatch(bare):
        return Route(Rule.REFUSE, sent, query, bare.split("/")[1])
    return Route(Rule.PASS, sent, query)
