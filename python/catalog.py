"""Choose an image, and lay out the folder from which mlc is started to make it.

AIME's mlc refuses what is not in `ml_images.repo`, and it looks for that file beside
the path it was started by. So it is started from an overlay folder: links to the real
mlc, and a merged catalog of AIME's lines, the site's, and the image that was asked for.

`list` prints the images for this host, `overlay` lays out the folder and prints what
was chosen; each one JSON object. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ds01.core.parser import Parser
from ds01.core.program import program_name, run
from ds01.images.shelf.catalog import (
    add_image_words,
    do_base,
    do_list,
    do_meant,
    do_overlay,
)


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("catalog"), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list")
    listing.add_argument("--arch")
    overlay = verbs.add_parser("overlay")
    overlay.add_argument("folder", type=Path)
    verbs.add_parser("meant").add_argument("word")
    for verb in (overlay, verbs.add_parser("base")):
        add_image_words(verb, required=True)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    verbs = {
        "list": do_list,
        "overlay": do_overlay,
        "base": do_base,
        "meant": do_meant,
    }
    return verbs[words.verb](words)


if __name__ == "__main__":
    sys.exit(run(main, "catalog"))
