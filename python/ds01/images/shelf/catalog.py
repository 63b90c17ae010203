"""The merged catalog of images, the entry that words mean, and mlc's overlay folder."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ds01.core import settings
from ds01.core.engine import Engine, reason
from ds01.core.errors import Exit, HelperError
from ds01.core.mlc import CPU, Entry, MlcError, parse, usable
from ds01.core.mlc import FILE_NAME as CATALOG
from ds01.core.mlc import architecture as host_architecture
from ds01.core.program import print_json
from ds01.core.text import nearest
from ds01.images.shelf.image import Image, visible
from ds01.images.source.names import IMAGE, check_image

CUSTOM = "Custom"
BASE_IMAGE = "ds01/debian:bookworm"


def line(entry: Entry) -> str:
    """Return an entry as the catalog's format has it."""
    architectures = ";".join(entry.architectures)
    return f"{entry.framework}, {entry.version}, [{architectures}], {entry.image}\n"


def age_key(entry: Entry) -> tuple[tuple[int, ...], bool, str]:
    """Return a sort key by version: 2.10.0 is newer than 2.9.1; of 2.8.0 and its
    variant 2.8.0-aime the plain one counts as newer."""
    number, _, variant = entry.version.partition("-")
    parts = tuple(int(part) for part in re.findall(r"\d+", number))
    return parts, not variant, entry.version


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries by framework, within one the newest version first."""
    by_age = sorted(entries, key=age_key, reverse=True)
    return sorted(by_age, key=lambda entry: entry.framework.casefold())


def choose(
    entries: Sequence[Entry],
    framework: str,
    version: str | None,
    architecture: str,
    otherwise: str | None = None,
) -> Entry:
    """Return the entry of a framework (in any case), the newest where no version is
    given, that runs on the architecture.

    Raises HelperError(NOT_FOUND), naming what is nearest; `otherwise` is the hint where
    nothing is.
    """
    known = [e for e in entries if e.framework.casefold() == framework.casefold()]
    if not known:
        close = nearest(framework, [e.framework for e in entries])
        names = "known are " + ", ".join(sorted({e.framework for e in entries}))
        text = f"framework '{framework}' not found"
        if not close and otherwise:
            raise HelperError(Exit.NOT_FOUND, f"{text}; {names}", otherwise)
        hint = f"did you mean '{close}'?" if close else names
        raise HelperError(Exit.NOT_FOUND, text, hint)
    fitting = newest_first(usable(known, architecture))
    if not fitting:
        others = sorted({a for e in known for a in e.architectures})
        raise HelperError(
            Exit.NOT_FOUND,
            f"framework '{known[0].framework}' has no image for this host's "
            f"architecture '{architecture}'",
            f"choose another framework, or '--arch' with one of {', '.join(others)}",
        )
    if version is None:
        return fitting[0]
    for entry in fitting:
        if entry.version.casefold() == version.casefold():
            return entry
    versions = [e.version for e in fitting]
    close = nearest(version, versions)
    raise HelperError(
        Exit.NOT_FOUND,
        f"'{fitting[0].framework}' has no version '{version}' for '{architecture}'",
        f"did you mean '{close}'?" if close else f"known are {', '.join(versions)}",
    )


def custom_entry(image: str, architecture: str) -> Entry:
    """Return the catalog entry of an image that no catalog has.

    Raises HelperError(USAGE) for what is not an image name.
    """
    check_image(image)
    slug = re.sub(r"[^A-Za-z0-9_.-]+", "-", image.partition("@")[0])
    return Entry(CUSTOM, slug, (architecture,), image)


def custom_images(found: Iterable[Image]) -> list[Entry]:
    """Return the catalog entries of custom images: `Custom, NAME, [ARCH], IMAGE`.

    Somebody else's that is shared is USER/NAME. Without the tag, to which AIME's mlc
    adds another.
    """
    return [
        Entry(
            CUSTOM,
            image.shown,
            (image.architecture if image.architecture != "-" else CPU,),
            image.reference.removesuffix(":latest"),
        )
        for image in found
    ]


def check_shared(word: str, found: Iterable[Image]) -> None:
    """Raise HelperError(REFUSED) for somebody else's image that is not shared."""
    bare = word.removeprefix("docker.io/").removesuffix(":latest")
    for image in found:
        is_open = image.mine or image.shared or not os.getuid()
        if not is_open and bare in {image.reference.removesuffix(":latest"), image.id}:
            raise HelperError(
                Exit.REFUSED,
                f"image '{word}' is {image.user}'s, who does not share it",
                "run 'image-list' to see yours and those that are shared",
            )


def entry_of(word: str, customs: Sequence[Entry], architecture: str) -> Entry:
    """Return the entry of an image by name: a custom one, or any other.

    Raises HelperError(REFUSED) for a custom one of another architecture.
    """
    bare = word.removesuffix(":latest")
    for entry in customs:
        if bare not in {entry.version, entry.image}:
            continue
        if not entry.runs_on(architecture):
            raise HelperError(
                Exit.REFUSED,
                f"image '{word}' is for {entry.architectures[0]}, and this host is "
                f"{architecture}",
                f"build it for this host with 'image-update {entry.version}'",
            )
        return entry
    return custom_entry(word, architecture)


def merged(settled: settings.Settings, home: Path) -> list[Entry]:
    """Return mlc's catalog and the site's, in this order.

    Raises HelperError: PREREQUISITE where mlc has none, CONFIG for a broken site's.
    """
    try:
        text = (home / CATALOG).read_text(encoding="utf-8")
    except OSError as error:
        raise HelperError(
            Exit.PREREQUISITE,
            f"mlc's catalog '{home / CATALOG}' cannot be read: {error.strerror}",
            "set 'mlc_home' in ds01.yaml to a checkout of mlc, or to null",
        ) from error
    entries = _parsed(text, str(home / CATALOG))
    site = settings.site_catalog(settled)
    return entries if site is None else entries + read_site(site)


def read_site(path: Path) -> list[Entry]:
    """Return the entries of the site's catalog.

    Raises HelperError(CONFIG) with the first line that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise HelperError(
            Exit.CONFIG,
            f"the site's catalog '{path}' cannot be read: {error}",
            "mend it, or set 'site_catalog: null' in ds01.yaml",
        ) from error
    return _parsed(text, str(path))


def _parsed(text: str, name: str) -> list[Entry]:
    try:
        return parse(text, name)
    except MlcError as error:
        raise HelperError(
            Exit.CONFIG, str(error), "run 'ds01-config check' to check all files"
        ) from error


def write_overlay(
    folder: Path, home: Path, entries: Sequence[Entry], architecture: str
) -> None:
    """Lay out the overlay in a new folder.

    Everything of mlc's is linked; only the catalog is ours. CPU images are listed for
    the chosen architecture too, since AIME's mlc knows no images that run anywhere.
    """
    folder.mkdir(mode=0o700)
    for item in home.iterdir():
        if item.name not in (CATALOG, ".git", "__pycache__"):
            (folder / item.name).symlink_to(item.resolve())
    lines = [
        line(entry._replace(architectures=(*entry.architectures, architecture)))
        if entry.runs_on(architecture) and architecture not in entry.architectures
        else line(entry)
        for entry in entries
    ]
    (folder / CATALOG).write_text("".join(lines), encoding="utf-8")


def pull(engine: Engine, image: str, query: Mapping[str, str]) -> dict[str, Any]:
    """Have an image fetched; return what the engine knows of it then.

    Raises HelperError(NOT_FOUND) where it cannot be.
    """
    status, answer = engine.call("POST", "/images/create", query)
    events = [json.loads(line) for line in answer.splitlines() if line.strip()]
    failed = [event["error"] for event in events if "error" in event]
    found = None if status != 200 or failed else engine.image(image)
    if found is None:
        why = failed[0] if failed else reason(answer)
        raise HelperError(
            Exit.NOT_FOUND,
            f"image '{image}' is not on this server and cannot be pulled: {why}",
            "run 'docker images' to see what is here",
        )
    return found


def untagged(engine: Engine, image: str) -> str:
    """Return a name without tag for an image, fetching the image if it is not here.

    AIME's mlc names the prepared image IMAGE:NAME._.UID, which is no name where IMAGE
    has a tag already. Raises HelperError(NOT_FOUND) where it cannot be fetched.
    """
    found = IMAGE.fullmatch(image)
    if not found or not (found["tag"] or found["digest"]):
        return image
    if engine.image(image) is None:
        pull(engine, image, {"fromImage": image})
    alias = "ds01-untagged/" + re.sub(r"[^a-z0-9]+", "-", image.lower()).strip("-")
    status, answer = engine.call(
        "POST", f"/images/{image}/tag", {"repo": alias, "tag": "latest"}
    )
    if status != 201:
        raise HelperError(Exit.BUG, f"cannot name '{image}' anew: {reason(answer)}")
    return alias


def chosen_architecture(asked: str | None, settled: settings.Settings) -> str:
    """Return the architecture: asked for, MLC_ARCH, the setting, or the host's."""
    return (
        asked
        or os.environ.get("MLC_ARCH")
        or settled.architecture
        or host_architecture()
    )


def find_entry(
    every: Sequence[Image],
    words: argparse.Namespace,
    settled: settings.Settings,
    architecture: str,
) -> tuple[list[Entry], Entry]:
    """Return the catalog with the custom images, `every` one that there is, and the
    entry that was asked for by `image`, or `framework` and `version`.

    Raises HelperError where there is none.
    """
    entries = merged(settled, settings.mlc_home(settled))
    customs = custom_images(visible(every))
    entries += customs
    if not words.image:
        entry = choose(
            entries, words.framework, words.version, architecture, words.otherwise
        )
        return entries, entry
    check_shared(words.image, every)
    entry = entry_of(words.image, customs, architecture)
    return entries + ([] if entry in customs else [entry]), entry


def is_for_cpu(entry: Entry) -> bool:
    """Does the image get no GPU unless one is asked for?"""
    return CPU in entry.architectures


def add_image_words(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Give a parser the words for find_entry, and the architecture."""
    parser.add_argument("--arch")
    parser.add_argument("--version")
    which = parser.add_mutually_exclusive_group(required=required)
    which.add_argument("--framework")
    which.add_argument("--image")
    parser.add_argument("--otherwise", metavar="HINT")


def do_meant(words: argparse.Namespace) -> int:
    """Print the framework that a word is, or most likely meant, null for none."""
    settled = settings.read()
    entries = merged(settled, settings.mlc_home(settled))
    known = {CUSTOM, *(entry.framework for entry in entries)}
    print_json({"framework": nearest(words.word, known)})
    return Exit.OK


def do_list(words: argparse.Namespace) -> int:
    """Print the images that this host can use."""
    settled = settings.read()
    architecture = chosen_architecture(words.arch, settled)
    entries = merged(settled, settings.mlc_home(settled))
    fitting = newest_first(usable(entries, architecture))
    images = [
        {"framework": e.framework, "version": e.version, "image": e.image}
        for e in fitting
    ]
    print_json({"architecture": architecture, "images": images})
    return Exit.OK


def lay_out(
    engine: Engine,
    words: argparse.Namespace,
    settled: settings.Settings,
    every: Sequence[Image],
) -> dict[str, Any]:
    """Lay out the overlay for the image that was asked for; return what was chosen.

    `every` are all custom images. Raises HelperError where there is no such image.
    """
    home = settings.mlc_home(settled)
    architecture = chosen_architecture(words.arch, settled)
    entries, entry = find_entry(every, words, settled, architecture)
    is_local = engine.image(entry.image) is not None
    if home.resolve() != settings.OUR_MLC.resolve() and (
        is_local or entry.image != BASE_IMAGE
    ):
        name = untagged(engine, entry.image)
        entries = [e._replace(image=name) if e == entry else e for e in entries]
    write_overlay(words.overlay, home, entries, architecture)
    return {
        "framework": entry.framework,
        "version": entry.version,
        "arch": architecture,
        "image": entry.image,
        "is_local": is_local,
        "is_base": entry.image == BASE_IMAGE,
        "is_for_cpu": is_for_cpu(entry),
    }


def do_base(words: argparse.Namespace) -> int:
    """Print the offline base if it is what was asked for and is not here, else null."""
    settled = settings.read()
    image = words.image
    if not image:
        entries = merged(settled, settings.mlc_home(settled))
        architecture = chosen_architecture(words.arch, settled)
        image = choose(entries, words.framework, words.version, architecture).image
    missing = None
    if image == BASE_IMAGE:
        with Engine(settings.engine_address()) as engine:
            missing = None if engine.image(image) else image
    print_json({"missing": missing})
    return Exit.OK
