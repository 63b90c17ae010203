"""The types of projects, and the files that a project's folder has from templates."""

from __future__ import annotations

import argparse
import errno
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath

from ds01.core.errors import Exit, HelperError
from ds01.core.owner import user_name
from ds01.core.paths import PROJECT_ROOT, find_paths
from ds01.core.program import print_json
from ds01.core.text import nearest
from ds01.images.source.names import reference
from ds01.images.source.packages import load_packages

GENERAL = "general"
TEMPLATES = PROJECT_ROOT / "templates" / "project"
_SUFFIX = ".j2"
# What both a container and an image can be called.
_NAME = re.compile(r"(?=.{1,40}$)[a-z0-9]+(?:[_-][a-z0-9]+)*", re.ASCII)


@dataclass(frozen=True)
class Type:
    """A type of project, and the packages that its image brings."""

    name: str
    title: str
    packages: tuple[str, ...] = ()


def check_name(name: str) -> str:
    """Return the name of a project, which its image and container can have too.

    Raises HelperError(USAGE), with the rule.
    """
    if not _NAME.fullmatch(name):
        raise HelperError(
            Exit.USAGE,
            f"'{name}' is not a name for a project",
            "use lower-case letters and digits, parts joined by single '-' or '_', "
            "at most 40",
        )
    return name


def load_types() -> list[Type]:
    """Return all types of projects, the general one first. Raises as load_packages."""
    packages = load_packages(find_paths().etc / "packages.yaml")
    known = [Type(use.name, use.title, use.pip) for use in packages.use_cases]
    return [Type(GENERAL, "Any kind of project"), *known]


def find_type(name: str, types: Sequence[Type]) -> Type:
    """Return the type of that name; raises HelperError(USAGE), naming those known."""
    for item in types:
        if item.name == name:
            return item
    known = [item.name for item in types]
    close = nearest(name, known)
    raise HelperError(
        Exit.USAGE,
        f"'{name}' is not a type of project",
        f"did you mean '{close}'?" if close else f"known are {', '.join(known)}",
    )


def target_name(template: PurePosixPath) -> PurePosixPath:
    """Return where a template goes: without its suffix, `gitignore` with its dot."""
    name = template.name.removesuffix(_SUFFIX)
    return template.with_name(".gitignore" if name == "gitignore" else name)


def inside_path(folder: Path, workspace: Path) -> str:
    """Return where a folder lies in containers, whose /workspace is `workspace`."""
    try:
        return str(PurePosixPath("/workspace") / folder.relative_to(workspace))
    except ValueError:
        return "/workspace"


def image_command(name: str, kind: Type) -> str:
    """Return what builds the image of a project when it is typed in its folder."""
    words = ["image-create", name, "--project", "."]
    if kind.name != GENERAL:
        words += ["--type", kind.name]
    return shlex.join([*words, "--requirements", "requirements.txt"])


def render(values: Mapping[str, object]) -> dict[PurePosixPath, str]:
    """Return the text of every file of a project, by its path in the folder."""
    from ds01.images.source.render import templates  # noqa: PLC0415 - only here

    environment = templates(TEMPLATES)
    files: dict[PurePosixPath, str] = {}
    for name in sorted(environment.list_templates()):
        path = PurePosixPath(name)
        if path.name.endswith(_SUFFIX):
            text = environment.get_template(name).render(values)
        else:
            text = (TEMPLATES / name).read_text(encoding="utf-8")
        files[target_name(path)] = text
    return files


def write_missing(folder: Path, files: Mapping[PurePosixPath, str]) -> list[str]:
    """Write the files that a folder lacks; return their paths in it.

    Raises HelperError: REFUSED where the folder may not be written, PREREQUISITE on a
    full disk. What was written before stays: the next call adds the rest.
    """
    written = []
    for path, text in files.items():
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            if not target.parent.is_dir():
                raise HelperError(
                    Exit.REFUSED,
                    f"'{target.parent}' is no folder, and '{path}' belongs in it",
                    "choose another folder with '--dir'",
                ) from error
            continue
        except OSError as error:
            is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            raise HelperError(
                Exit.PREREQUISITE if is_full else Exit.REFUSED,
                f"cannot write '{target}': {(error.strerror or str(error)).lower()}",
                f"'df -h {shlex.quote(str(folder))}' shows how much room there is"
                if is_full
                else "choose another folder with '--dir'",
            ) from error
        written.append(str(path))
    return written


def do_make(words: argparse.Namespace) -> int:
    """Write what a project's folder lacks."""
    name = check_name(words.name)
    kind = find_type(words.type, load_types())
    folder = Path(words.folder).absolute()
    if folder.exists() and not folder.is_dir():
        raise HelperError(
            Exit.USAGE, f"'{folder}' is not a folder", "choose another with '--dir'"
        )
    values = {
        "name": name,
        "type": kind.name,
        "title": kind.title,
        "packages": list(kind.packages),
        "reference": reference(user_name(), os.getuid(), name),
        "build": image_command(name, kind),
        "inside": inside_path(folder, Path(words.workspace).absolute()),
        "user": user_name(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "today": datetime.now(timezone.utc).date().isoformat(),
    }
    files = render(values)
    if words.dry_run:
        written = [str(path) for path in files if not (folder / path).exists()]
    else:
        written = write_missing(folder, files)
    print_json(
        {
            "folder": str(folder),
            "inside": values["inside"],
            "written": written,
            "kept": [str(path) for path in files if str(path) not in written],
        }
    )
    return Exit.OK


def do_types(words: argparse.Namespace) -> int:
    """Print the types of projects."""
    del words
    types = [{"name": t.name, "title": t.title} for t in load_types()]
    print_json({"types": types})
    return Exit.OK
