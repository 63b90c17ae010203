"""image_finish: what surrounds a build."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from ds01.core.engine import Engine
from ds01.images.build.finish import ensure_uv
from ds01.images.versions import workshop

NAME = "ds01/uv:1.2"


class Holder(Engine):
    """An engine that has, or has not, an image that holds uv."""

    def __init__(self, layer: str | None) -> None:
        self.layer = layer
        self.sent: list[bytes] = []

    def image(self, _name: str) -> dict[str, Any] | None:
        return {"RootFS": {"Layers": [self.layer]}} if self.layer else None

    def send(  # type: ignore[override]
        self, _method: str, path: str, data: bytes, _kind: str
    ) -> tuple[int, bytes]:
        assert path.endswith("repo=ds01%2Fuv&tag=1.2")
        self.sent.append(data)
        return 200, b"{}"


def test_the_installer_is_what_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "uv"
    binary.write_bytes(b"program")
    monkeypatch.setattr(workshop, "uv_binary", lambda: binary)
    missing = Holder(None)
    ensure_uv(missing, NAME)
    made = f"sha256:{hashlib.sha256(missing.sent[0]).hexdigest()}"
    for layer, times in ((made, 0), ("sha256:of-another", 1)):
        engine = Holder(layer)
        ensure_uv(engine, NAME)
        assert len(engine.sent) == times
