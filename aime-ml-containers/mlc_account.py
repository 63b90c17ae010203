"""The prepared image: a base image with sudo, git and one user's account in it.

It has two layers over its base: the tools, which all users of a base share, and the
account, which depends on nothing but the person. A container's own name stands in
neither, so each further container of that person finds both in the engine's cache.

The steps themselves are image/tools.sh and image/account.sh.
"""

from __future__ import annotations

import json
from pathlib import Path

from mlc_base import Person

SCRIPTS = Path(__file__).resolve().parent / "image"


def repository(image: str) -> str:
    """Return an image name without its tag and digest.

    `host:5000/a/b:tag@sha256:…` -> `host:5000/a/b`: a colon before the last slash
    belongs to a registry's port.
    """
    image = image.split("@", 1)[0]
    head, slash, last = image.rpartition("/")
    return head + slash + last.split(":", 1)[0]


def prepared_image(image: str, container: str) -> str:
    """Return the name of the prepared image of a container.

    AIME's `IMAGE:NAME._.UID`; where the base image has a tag already, ours takes the
    tag's place, because a name holds only one.
    """
    return f"{repository(image)}:{container}"


def _run(name: str, *words: str) -> str:
    """Return a RUN in its exec form: JSON needs no shell quoting, whatever a word
    holds, and one line no continuation."""
    script = (SCRIPTS / name).read_text(encoding="utf-8")
    return "RUN " + json.dumps(["/bin/sh", "-c", script, "mlc", *words])


def dockerfile(
    base: str, person: Person, *, base_user: str = "", former: int | None = None
) -> str:
    """Return the Dockerfile of a prepared image.

    The account is the last step, so that no untagged image is left between.
    """
    lines = [f"FROM {base}"]
    if base_user.partition(":")[0] not in {"", "0", "root"}:
        lines.append("USER 0:0")
    lines.append(_run("tools.sh"))
    words = (person.name, str(person.uid), str(person.gid), person.group, person.home)
    lines.append(_run("account.sh", *words, "-" if former is None else str(former)))
    return "\n".join(lines) + "\n"


PROXIES = tuple(
    variant
    for name in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
    for variant in (name, name.upper())
)


def build_words(tag: str, environment: dict[str, str]) -> list[str]:
    """Return the docker words that build a prepared image from stdin.

    Containers' network is the host's, as the container's own will be; proxies are
    passed on by name and stand in no layer.
    """
    words = ["build", "--force-rm", "--network", "host", "-t", tag]
    for name in PROXIES:
        if environment.get(name):
            words += ["--build-arg", name]
    return [*words, "-"]
