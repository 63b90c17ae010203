"""What a user could ask of GPUs now: the kinds that they may have, for a menu.

Prints one JSON object: `offers`, each with `request` (what --gpus takes) and `text`
(how many are free, and what a wait would mean), and `default`, the text of what an
image gets without a word. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ds01.core import settings
from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run
from ds01.gpus.allocator.allocator import Allocator
from ds01.images.shelf import catalog
from ds01.policy.users import identify_user
from ds01.show.offers import needs_none, offers


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("gpu_offers"), description=__doc__)
    catalog.add_image_words(parser, required=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    allocator = Allocator(find_paths(), settings.engine_address())
    found, default = offers(allocator.desk, identify_user(os.getuid()))
    if found and (words.image or words.framework) and needs_none(words):
        default = "no GPU: the image is one for CPU"
    print_json(
        {
            "offers": [{"request": kind, "text": text} for kind, text in found.items()],
            "default": default,
        }
    )
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, "gpu_offers"))
