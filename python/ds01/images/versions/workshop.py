"""The container in which DS01 looks into a base image and works out versions.

Nothing of an image runs on the host, and versions are worked out by the Python of the
image itself. A `Workshop` is started with the first question, serves them all, and goes
with the program: it removes itself after 15 minutes whatever happens, and `sweep` takes
away those whose program was killed. Its cache of package metadata is a volume per user.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import os
import struct
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ds01.core.engine import Engine, reason
from ds01.core.errors import Exit, HelperError
from ds01.core.labels import HELPER, HELPER_SECONDS
from ds01.images.shelf.labels import is_left, own_mark
from ds01.images.shelf.usage import is_helper

CACHE = "/ds01-cache"
FOLDER = "/ds01"
# What tells programs in a container which certificates to trust, where the host has
# some that images lack (a proxy that looks into TLS).
CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
_HOST_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_HOST_ADDITIONS = Path("/usr/local/share/ca-certificates")


@dataclass(frozen=True)
class Done:
    """What a program in the workshop said."""

    status: int
    out: str
    err: str


def uv_binary() -> Path | None:
    """Return the uv that DS01 brings, or None where it is not installed."""
    try:
        files = importlib.metadata.files("uv") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == "uv" and file.parent.name == "bin":
            return Path(str(file.locate()))
    path = Path(sys.prefix) / "bin/uv"
    return path if path.exists() else None


def uv_version() -> str:
    """Return the version of the uv that DS01 brings; `none` where there is none."""
    try:
        return importlib.metadata.version("uv")
    except importlib.metadata.PackageNotFoundError:
        return "none"


def site_certificates() -> Path | None:
    """Return the certificates that containers of this host need, None if only common.

    SSL_CERT_FILE of the caller, or the host's bundle where the administrator has added
    to it.
    """
    named = os.environ.get("SSL_CERT_FILE", "")
    if named:
        path = Path(named)
        return path if path.is_file() else None
    if _HOST_BUNDLE.is_file() and any(_HOST_ADDITIONS.glob("**/*.crt")):
        return _HOST_BUNDLE
    return None


def proxies() -> dict[str, str]:
    """Return the proxy settings of the caller, in both spellings."""
    found: dict[str, str] = {}
    for name in PROXY_VARIABLES:
        value = os.environ.get(name) or os.environ.get(name.lower())
        if value:
            found |= {name: value, name.lower(): value}
    return found


def secrets(names: Iterable[str]) -> dict[str, str]:
    """Return the caller's values of variables that packages refer to.

    Raises HelperError(USAGE) for one that is not set.
    """
    found: dict[str, str] = {}
    for name in names:
        value = os.environ.get(name)
        if not value:
            raise HelperError(
                Exit.USAGE,
                f"the packages refer to '${{{name}}}', which is not set",
                f"run 'read -rs {name} && export {name}' and type it",
            )
        found[name] = value
    return found


def tar_of(files: Mapping[str, bytes], mode: int = 0o644) -> bytes:
    """Return a tar archive of files, owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


class Workshop:
    """A container of an image, started when the first program is to run in it."""

    def __init__(self, engine: Engine, image: str, network: str) -> None:
        """Take the image (by id) and the network mode of builds: host or bridge."""
        self._engine = engine
        self._image = image
        self._network = network
        self._id = ""

    def close(self) -> None:
        """Remove the container, if there is one."""
        if self._id:
            with contextlib.suppress(HelperError):
                self._engine.call("DELETE", f"/containers/{self._id}", {"force": "1"})
            self._id = ""

    def put(self, files: Mapping[str, bytes], folder: str, mode: int = 0o644) -> None:
        """Write files into a folder, which is made."""
        self._open()
        prefix = folder.lstrip("/")
        data = tar_of({f"{prefix}/{name}": text for name, text in files.items()}, mode)
        status, answer = self._engine.send(
            "PUT", f"/containers/{self._id}/archive?path=/", data, "application/x-tar"
        )
        if status != 200:
            raise HelperError(
                Exit.BUG, f"cannot write into a container: {reason(answer)}"
            )

    def run(
        self,
        words: Sequence[str],
        *,
        folder: str = "/",
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a program as root; return its status and what it said."""
        self._open()
        settings = {**self._env(), **(env or {})}
        asked = {
            "AttachStdout": True,
            "AttachStderr": True,
            "User": "0",
            "WorkingDir": folder,
            "Env": [f"{name}={value}" for name, value in settings.items()],
            "Cmd": list(words),
        }
        identity = json.loads(self._exec(f"/containers/{self._id}/exec", asked))["Id"]
        data = self._exec(f"/exec/{identity}/start", {"Detach": False, "Tty": False})
        found = self._engine.get(f"/exec/{identity}/json") or {}
        out, err = split_stream(data)
        return Done(int(found.get("ExitCode") or 0), out, err)

    def _exec(self, path: str, body: object) -> bytes:
        status, answer = self._engine.call("POST", path, body=body)
        if status >= 300:
            raise HelperError(
                Exit.BUG, f"cannot run a program in a container: {reason(answer)}"
            )
        return answer

    def has(self, path: str) -> bool:
        """Is there a file of that name, which is a program?"""
        status, _ = self._engine.call(
            "HEAD", f"/containers/{self._id}/archive", {"path": path}
        )
        return status == 200

    def uv(self) -> str:
        """Return the path of uv in the container; it is brought in if missing."""
        self._open()
        folder = f"{CACHE}/bin-{uv_version()}"
        binary = uv_binary()
        if binary is None:
            return "uv"
        if not self.has(f"{folder}/uv"):
            self.put({"uv": binary.read_bytes()}, folder, 0o755)
        return f"{folder}/uv"

    def _env(self) -> dict[str, str]:
        env = proxies()
        if site_certificates():
            env |= dict.fromkeys(CA_VARIABLES, f"{FOLDER}/ca.crt")
        return env

    def _open(self) -> None:
        if self._id:
            return
        sweep(self._engine)
        volume = f"ds01-packages-{os.getuid()}"
        asked = {
            "Image": self._image,
            "Entrypoint": ["sleep"],
            "Cmd": [HELPER_SECONDS],
            "User": "0",
            "Labels": {HELPER: own_mark()},
            "HostConfig": {
                "AutoRemove": True,
                "NetworkMode": self._network,
                "Mounts": [{"Type": "volume", "Source": volume, "Target": CACHE}],
            },
        }
        status, answer = self._engine.call("POST", "/containers/create", body=asked)
        if status != 201:
            raise HelperError(
                Exit.REFUSED if status == 403 else Exit.BUG,
                f"cannot look into image '{self._image}': {reason(answer)}",
            )
        self._id = json.loads(answer)["Id"]
        certificates = site_certificates()
        if certificates:
            self.put({"ca.crt": certificates.read_bytes()}, FOLDER)
        status, answer = self._engine.call("POST", f"/containers/{self._id}/start")
        if status not in {204, 304}:
            self.close()
            raise HelperError(
                Exit.CONFIG,
                f"a container of the base image does not start: {reason(answer)}",
                "choose another base: it needs a shell and the usual tools",
            )


@contextlib.contextmanager
def opened(engine: Engine, image: str, network: str) -> Iterator[Workshop]:
    """Yield a workshop that is closed at the end, however it ends."""
    workshop = Workshop(engine, image, network)
    try:
        yield workshop
    finally:
        workshop.close()


def split_stream(data: bytes) -> tuple[str, str]:
    """Return stdout and stderr of the engine's multiplexed stream."""
    parts = {1: bytearray(), 2: bytearray()}
    place = 0
    while place + 8 <= len(data):
        kind, length = struct.unpack(">BxxxI", data[place : place + 8])
        parts.setdefault(kind, bytearray()).extend(data[place + 8 : place + 8 + length])
        place += 8 + length
    return parts[1].decode(errors="replace"), parts[2].decode(errors="replace")


def sweep(engine: Engine) -> None:
    """Remove workshops whose program is dead."""
    with contextlib.suppress(HelperError):
        for found in engine.containers([HELPER]):
            mark = str((found.get("Labels") or {}).get(HELPER, ""))
            if is_helper(found) and is_left(mark):
                path = f"/containers/{quote(str(found['Id']), safe='')}"
                engine.call("DELETE", path, {"force": "1", "v": "1"})
