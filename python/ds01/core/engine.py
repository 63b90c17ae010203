"""A few calls to the Docker Engine API over its Unix socket.

No docker SDK: importing it takes longer (200 ms) than everything a list command does.
Only what DS01 reads itself goes through here; mlc and the shell use the docker command.

API: https://docs.docker.com/reference/api/engine/ (version 1.41, Engine 20.10;
with engines that have left it behind the earliest version that they speak).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode

from ds01.core.errors import Exit, HelperError
from ds01.core.unix_http import Exchange

API = "/v1.41"
# "client version 1.41 is too old. Minimum supported API version is 1.44, please …"
_OLDEST = re.compile(rb"[Mm]inimum supported API version is ([0-9]+\.[0-9]+)")

# Statuses of its answers.
OK, BAD_REQUEST, NOT_FOUND = 200, 400, 404


class Engine:
    """The engine at an address; use it as a context manager."""

    def __init__(self, address: str, timeout: float = 60.0) -> None:
        """Take a `unix://` address; seconds to wait for an answer.

        Raises HelperError(CONFIG) for any other kind of address.
        """
        if not address.startswith("unix://"):
            raise HelperError(
                Exit.CONFIG,
                f"the engine address '{address}' is not a Unix socket",
                "unset DOCKER_HOST, or set it to 'unix:///var/run/docker.sock'",
            )
        self.address = address
        self._path = address.removeprefix("unix://")
        self._timeout = timeout
        self._api = API

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is kept open between two requests."""

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
    ) -> tuple[int, bytes]:
        """Send one request; return the status and the whole answer.

        Raises HelperError(PREREQUISITE) where no engine answers.
        """
        data = None if body is None else json.dumps(body).encode()
        target = path + (f"?{urlencode(query)}" if query else "")
        return self.send(method, target, data, "application/json")

    def send(
        self, method: str, path: str, data: bytes | None, kind: str
    ) -> tuple[int, bytes]:
        """Send one request with a body of some kind, as `call` does."""
        try:
            while True:
                with self._ask(method, path, data, kind) as exchange:
                    text = b"".join(exchange.pieces())
                if not self._is_too_old(exchange.status, text):
                    return exchange.status, text
        except (OSError, ValueError) as error:
            raise no_engine(self.address, error) from error

    def _ask(
        self, method: str, path: str, data: bytes | None = None, kind: str = ""
    ) -> Exchange:
        target = self._api + path
        return Exchange(self._path, self._timeout, method, target, data, kind)

    def _is_too_old(self, status: int, text: bytes) -> bool:
        """Does the engine speak later versions only? Then use the earliest of them.

        Engine 29 begins at 1.44; it refuses before it does anything.
        """
        if status != BAD_REQUEST:
            return False
        found = _OLDEST.search(text)
        if found is None or self._api != API:
            return False
        self._api = f"/v{found[1].decode()}"
        return True

    def stream(self, path: str) -> Iterator[bytes]:
        """Yield the answer to a GET piece by piece, for what may be large.

        Raises HelperError where there is none, or it breaks off.
        """
        try:
            with self._ask("GET", path) as exchange:
                if exchange.status == OK:
                    yield from exchange.pieces()
                    return
                text = b"".join(exchange.pieces())
        except (OSError, ValueError) as error:
            raise no_engine(self.address, error) from error
        if not self._is_too_old(exchange.status, text):
            raise HelperError(Exit.BUG, f"the engine says: {reason(text)}")
        yield from self.stream(path)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the decoded answer to a GET, or None where there is no such thing.

        Raises HelperError(BUG) with the engine's reason for any other failure.
        """
        status, data = self.call("GET", path, query)
        if status == NOT_FOUND:
            return None
        if status != OK:
            raise HelperError(Exit.BUG, f"the engine says: {reason(data)}")
        return json.loads(data)

    def listing(self, path: str, query: Mapping[str, str] | None = None) -> list[Any]:
        """Return a list of the engine's, such as `/images/json`.

        Raises HelperError(BUG) also for "not found": taken for an empty list, that
        would say that there are no containers while they run.
        """
        found = self.get(path, query)
        if found is None:
            raise HelperError(Exit.BUG, f"the engine does not answer to '{path}'")
        return list(found)

    def containers(self, labels: Sequence[str], *, size: bool = False) -> list[Any]:
        """Return the engine's summaries of all containers that carry the labels."""
        query = {"all": "1", "filters": json.dumps({"label": list(labels)})}
        if size:
            query["size"] = "1"
        return self.listing("/containers/json", query)

    def container(self, name: str) -> dict[str, Any] | None:
        """Return what the engine knows of one container, or None."""
        found: dict[str, Any] | None = self.get(f"/containers/{quote(name, '')}/json")
        return found

    def image(self, name: str) -> dict[str, Any] | None:
        """Return what the engine knows of one local image, or None."""
        found: dict[str, Any] | None = self.get(f"/images/{quote(name, '')}/json")
        return found


def reason(answer: bytes) -> str:
    """Return the text in an engine's error answer."""
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace").strip() or "no reason given"


def no_engine(address: str, error: Exception) -> HelperError:
    """Return the failure for an engine that does not answer, with what to do."""
    path = Path(address.removeprefix("unix://"))
    if isinstance(error, PermissionError):
        group = _group_of(path)
        return HelperError(
            Exit.PREREQUISITE,
            f"no permission to use the Docker engine at '{address}'",
            f"ask the administrator for the group '{group}', then log in anew",
        )
    if isinstance(error, TimeoutError):
        return HelperError(
            Exit.PREREQUISITE,
            f"the Docker engine at '{address}' does not answer in time",
            "try again, or ask the administrator to look at the engine",
        )
    return HelperError(
        Exit.PREREQUISITE,
        f"no Docker engine answers at '{address}'",
        "run 'sudo systemctl start docker', or ask the administrator",
    )


def _group_of(path: Path) -> str:
    try:
        return path.group()
    except (OSError, KeyError):
        return "docker"
