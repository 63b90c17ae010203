"""Custom images: lists them, finds one, shows one, deletes some.

`list` and `show` print tables and texts for people, or one JSON object with --json;
`resolve` and `delete` print JSON. An image is the caller's where its labels and its
name say so. Exit statuses: docs/exit-codes.md; 3 for no such image, 4 for one in
use, or of somebody else.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from build_turn import hold
from ds01.core import settings
from ds01.core.engine import Engine, reason
from ds01.core.errors import Exit, HelperError
from ds01.core.owner import user_name
from ds01.core.parser import Parser
from ds01.core.program import print_json, program_name, run, say
from ds01.core.table import render
from ds01.core.text import nearest
from ds01.records.event_log import append_event
from image_labels import Labels, decode
from image_names import PREFIX, is_name, owner_part
from image_usage import custom_containers, usage_of

PROGRAM = "images"


@dataclass(frozen=True)
class Image:
    """One custom image, as the engine and its labels have it."""

    name: str
    reference: str
    id: str
    user: str
    uid: int
    mine: bool
    shared: bool
    size: int
    base: str
    base_digest: str
    created: str
    architecture: str
    framework: str
    source: str
    made_by: str
    containers: list[str] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)

    @property
    def shown(self) -> str:
        """The word by which the caller names it."""
        if self.mine:
            return self.name
        return self.reference.removeprefix(f"{PREFIX}/").removesuffix(":latest")


def read_images(engine: Engine) -> list[Image]:
    """Return all custom images, the caller's first, each by name."""
    used = custom_containers(engine)
    found: list[Image] = []
    query = {"filters": '{"label":["ds01.image.name"]}'}
    for summary in engine.listing("/images/json", query):
        labels = decode(summary.get("Labels"))
        if labels is None or not labels.uid.isdigit():
            continue
        for reference in summary.get("RepoTags") or []:
            image = _image(reference, summary, labels, used)
            if image is not None:
                found.append(image)
    return sorted(found, key=lambda it: (not it.mine, it.user, it.name, it.reference))


def _image(
    reference: str,
    summary: Mapping[str, Any],
    labels: Labels,
    used: list[Mapping[str, Any]],
) -> Image | None:
    parts = reference.rpartition(":")[0].split("/")
    # What mlc prepared for a container has the same labels, and another name.
    if len(parts) != 3 or parts[0] != PREFIX or parts[2] != labels.name:
        return None
    if "._." in reference:
        return None
    me, uid = os.getuid(), int(labels.uid)
    own_parts = {owner_part(user_name(), me), str(me)}
    # Of whom the labels speak is whose image it is only where the name agrees.
    is_true = parts[1] in {owner_part(labels.user, uid), labels.uid}
    usage = usage_of(used, labels.uid, labels.name, labels.created)
    return Image(
        name=labels.name,
        reference=reference,
        id=str(summary["Id"]),
        user=labels.user,
        uid=uid,
        mine=uid == me and parts[1] in own_parts,
        shared=labels.shared == "1" and is_true,
        size=int(summary.get("Size") or 0),
        base=labels.base,
        base_digest=labels.base_digest,
        created=labels.created,
        architecture=labels.architecture,
        framework=labels.framework,
        source=labels.source,
        made_by=labels.made_by,
        containers=usage.containers,
        outdated=usage.outdated,
    )


def visible(images: Sequence[Image], *, every: bool = False) -> list[Image]:
    """Return the caller's own images and the shared ones, or everybody's."""
    return [it for it in images if it.mine or it.shared or every]


def resolve(images: Sequence[Image], word: str) -> Image | None:
    """Return the image that a word means: the caller's, or USER/NAME that is shared."""
    bare = word.removeprefix(f"{PREFIX}/").removesuffix(":latest")
    for image in images:
        if image.mine and bare in {image.name, *_names(image)}:
            return image
    for image in images:
        if image.shared and bare in _names(image):
            return image
    return None


def _names(image: Image) -> set[str]:
    owner = image.reference.split("/")[1]
    return {f"{owner}/{image.name}", f"{image.user}/{image.name}"}


def require(images: Sequence[Image], word: str) -> Image:
    """Return the image that a word means; raises HelperError(NOT_FOUND)."""
    found = resolve(images, word)
    if found is not None:
        return found
    close = nearest(word, [it.shown for it in visible(images)])
    raise HelperError(
        Exit.NOT_FOUND,
        f"image '{word}' not found",
        f"did you mean '{close}'?" if close else "run 'image-list' to see the images",
    )


# For people ---------------------------------------------------------------------------


def size_text(size: int) -> str:
    """Return a size as `docker images` writes it."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.3g}GB"


def age_text(created: str, now: datetime) -> str:
    """Return how long ago that was, in the largest unit."""
    try:
        moment = datetime.fromisoformat(created.replace("Z", "+00:00"))
    except ValueError:
        return "-"
    seconds = int((now - moment).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(seconds, 0)}s"


def table(images: Sequence[Image], now: datetime) -> str:
    """Return the table of image-list; `*` marks containers of an older build."""
    rows = []
    for image in images:
        used = [n + ("*" if n in image.outdated else "") for n in image.containers]
        rows.append(
            [
                image.shown,
                size_text(image.size),
                image.base,
                age_text(image.created, now),
                "yes" if image.shared else "no",
                " ".join(used),
            ]
        )
    return render(["NAME", "SIZE", "BASE", "AGE", "SHARED", "CONTAINERS"], rows)


def do_list(words: argparse.Namespace, engine: Engine) -> int:
    """Print the images that the caller may use."""
    found = visible(read_images(engine), every=words.all)
    if words.json:
        print_json({"images": [asdict(image) for image in found]})
    elif found:
        sys.stdout.write(table(found, datetime.now(timezone.utc)))
    else:
        say("info", "no images yet; 'image-create' makes one", PROGRAM)
    return Exit.OK


def do_resolve(words: argparse.Namespace, engine: Engine) -> int:
    """Print which image a word means, if any."""
    every = read_images(engine)
    found = resolve(every, words.word)
    close = None if found else nearest(words.word, [it.shown for it in visible(every)])
    print_json(
        {
            "close": close,
            "found": found is not None,
            "reference": found.reference if found else None,
            "mine": bool(found and found.mine),
            "name": found.name if found else None,
            "architecture": found.architecture if found else None,
        }
    )
    return Exit.OK


# Delete -------------------------------------------------------------------------------


def do_delete(words: argparse.Namespace, engine: Engine) -> int:
    """Delete images of the caller's: all that are named, or none."""
    # Here, because what is asked most often needs no image.yaml and its YAML.
    import image_source  # noqa: PLC0415

    every = read_images(engine)
    chosen: dict[str, Image] = {}
    sources: dict[str, Path | None] = {}
    for word in words.names:
        found = resolve(every, word)
        if found is None and words.with_source and _has_source(word):
            # Its build has never succeeded: only the source is there.
            sources[word] = image_source.find(word)
            continue
        image = require(every, word)
        _check_deletable(image, force=words.force)
        chosen[image.reference] = image
        if words.with_source:
            sources[image.name] = image_source.find(image.name, image.source)
    told = [{"name": it.name, "reference": it.reference} for it in chosen.values()]
    told += [{"name": n, "reference": ""} for n in sources if not _named(n, chosen)]
    removed: list[str] = []
    if not words.dry_run:
        with contextlib.ExitStack() as turns:
            for name in sorted({it.name for it in chosen.values()} | set(sources)):
                turns.enter_context(hold(name))
            for image in chosen.values():
                _delete(engine, image)
            for name, folder in sources.items():
                removed += image_source.remove(name, folder)
    outcome = {
        "deleted": told,
        "containers": sorted({c for it in chosen.values() for c in it.containers}),
        "sources": [str(it) for it in sources.values() if it],
        "removed": removed,
    }
    print_json(outcome)
    return Exit.OK


def _named(name: str, chosen: Mapping[str, Image]) -> bool:
    return any(image.name == name for image in chosen.values())


def _has_source(word: str) -> bool:
    import image_source  # noqa: PLC0415 - see do_delete

    return is_name(word) and image_source.find(word) is not None


def _check_deletable(image: Image, *, force: bool) -> None:
    if not image.mine and os.getuid():
        raise HelperError(
            Exit.REFUSED,
            f"image '{image.shown}' is {image.user}'s, who alone can delete it",
            "run 'image-list' to see which are yours",
        )
    if image.containers and not force:
        own = [name for name in image.containers if "/" not in name]
        first = f"run 'container-remove {own[0]}' first, or " if own else ""
        raise HelperError(
            Exit.REFUSED,
            f"image '{image.shown}' is used by {', '.join(image.containers)}",
            f"{first}add '--force': the containers stay and work on",
        )


def _delete(engine: Engine, image: Image) -> None:
    status, answer = engine.call("DELETE", f"/images/{image.reference}", {"force": "1"})
    if status not in {200, 404}:
        raise HelperError(
            Exit.BUG, f"image '{image.shown}' cannot be deleted: {reason(answer)}"
        )
    with contextlib.suppress(HelperError):
        append_event("image-deleted", image=image.reference, name=image.name)


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list")
    listing.add_argument("--all", action="store_true")
    listing.add_argument("--json", action="store_true")
    verbs.add_parser("resolve").add_argument("word")
    show = verbs.add_parser("show")
    show.add_argument("word")
    which = show.add_mutually_exclusive_group()
    for option in ("--json", "--dockerfile", "--lock", "--history", "--spec"):
        which.add_argument(option, action="store_true")
    delete = verbs.add_parser("delete")
    delete.add_argument("names", nargs="+")
    for option in ("--force", "--with-source", "--dry-run"):
        delete.add_argument(option, action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    with Engine(settings.engine_address()) as engine:
        if words.verb == "show":
            from image_show import show  # noqa: PLC0415 - with YAML and the lock

            return show(words, engine, read_images(engine))
        verbs = {"list": do_list, "resolve": do_resolve, "delete": do_delete}
        return verbs[words.verb](words, engine)


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
