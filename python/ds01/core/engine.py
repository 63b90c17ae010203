"""A few calls to the Docker Engine API over its Unix socket.

http.client rather than the docker SDK: importing the SDK takes longer (200 ms) than
everything a list command does. Only what DS01 reads itself goes through here; mlc and
the shell use the docker command.

API: https://docs.docker.com/reference/api/engine/ (version 1.41, Engine 20.10;
with engines that have left it behind the earliest version that they speak).
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode

from ds01.core.errors import Exit, HelperError

API = "/v1.41"
# "client version 1.41 is too old. Minimum supported API version is 1.44, please …"
_OLDEST = re.compile(rb"[Mm]inimum supported API version is ([0-9]+\.[0-9]+)")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """One connection to the engine; use it as a context manager."""

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
        self._connection = _UnixConnection(address.removeprefix("unix://"), timeout)
        self._api = API

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

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
        headers = {} if data is None else {"Content-Type": kind}
        try:
            while True:
                self._connection.request(method, self._api + path, data, headers)
                answer = self._connection.getresponse()
                status, text = answer.status, answer.read()
                if not self._is_too_old(status, text):
                    return status, text
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise no_engine(self.address, error) from error
        except BaseException:
            # After Ctrl-C there is often one more request, which tidies up.
            self._connection.close()
            raise

    def _is_too_old(self, status: int, text: bytes) -> bool:
        """Does the engine speak later versions only? Then use the earliest of them.

        Engine 29 begins at 1.44; it refuses before it does anything.
        """
        if status != http.client.BAD_REQUEST:
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
            self._connection.request("GET", self._api + path)
            answer = self._connection.getresponse()
            if answer.status != http.client.OK:
                text = answer.read()
                if self._is_too_old(answer.status, text):
                    yield from self.stream(path)
                    return
                raise HelperError(Exit.BUG, f"the engine says: {reason(text)}")
            while piece := answer.read(1 << 20):
                yield piece
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise no_engine(self.address, error) from error

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the decoded answer to a GET, or None where there is no such thing.

        Raises HelperError(BUG) with the engine's reason for any other failure.
        """
        status, data = self.call("GET", path, query)
        if status == http.client.NOT_FOUND:
            return None
        if status != http.client.OK:
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
