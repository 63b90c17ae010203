"""Renders the managed part of an image's Dockerfile from templates/Dockerfile.j2.

`render_dockerfile.py image.yaml` prints it; with --json one object that holds it and
the files that the build's context needs beside it. Nothing is asked of the engine.

Packages are never written into a command: each layer has a file of pinned versions,
copied right before it is installed, so that a layer is built anew only when its own
pins change. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ds01.core.errors import Exit, HelperError
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run
from ds01.images.source.layer_commands import Tools
from ds01.images.source.layers import layers
from ds01.images.source.lock import load_lock
from ds01.images.source.packages import load_packages
from ds01.images.source.render import context_files, render
from ds01.images.source.spec import load_spec


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("render_dockerfile"), description=__doc__)
    parser.add_argument("spec", type=Path, help="the image.yaml")
    parser.add_argument("--lock", type=Path, help="default: image.lock beside it")
    parser.add_argument("--packages", type=Path, help="default: the installation's")
    parser.add_argument("--base-image", help="default: the lock's or the spec's")
    parser.add_argument(
        "--builder", choices=("buildkit", "classic"), default="buildkit"
    )
    parser.add_argument("--installer", choices=("uv", "pip"), default="uv")
    parser.add_argument("--uv-image", default="ds01/uv:latest")
    parser.add_argument("--cache", help="name of BuildKit's cache for the own layer")
    parser.add_argument("--json", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    asked = build_parser().parse_args(argv)
    spec = load_spec(asked.spec)
    lock = load_lock(asked.lock or asked.spec.parent / "image.lock")
    packages = load_packages(asked.packages or find_paths().etc / "packages.yaml")
    base_image = asked.base_image or spec.base.image or (lock and lock.base.image)
    if not base_image:
        raise HelperError(
            Exit.USAGE,
            f"'{asked.spec}' names an image of the catalog, and nothing is locked yet",
            "name the image with '--base-image'",
        )
    found = layers(spec, packages, asked.spec.parent)
    tools = Tools(asked.builder, asked.installer, asked.uv_image, asked.cache)
    text = render(found, lock, base_image, tools)
    if asked.json:
        files = context_files(found, lock) if lock else {}
        print_json({"dockerfile": text, "context": files})
    else:
        sys.stdout.write(text)
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, "render_dockerfile"))
