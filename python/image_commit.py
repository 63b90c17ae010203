"""Make an image out of the files of a container, as they are: the quick way.

`image_commit CONTAINER IMAGE` prints one JSON object about the image. It has no source:
nothing tells how it was made, and it cannot be updated. Run it behind the gateway.
Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ds01.containers.containers import find_own
from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run
from ds01.images.shelf.commit import _SECONDS, MADE_BY, commit
from ds01.images.source import names
from ds01.records.event_log import append_event


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog=program_name("image_commit"), description=__doc__)
    parser.add_argument("container")
    parser.add_argument("image")
    words = parser.parse_args(argv)
    names.check_name(words.image)
    with Engine(settings.engine_address(), _SECONDS) as engine:
        item = find_own(engine, words.container, os.getuid())
        made = commit(engine, item, words.image)
    append_event(
        "image-built",
        paths=find_paths(),
        image=made["reference"],
        made_by=MADE_BY,
        container=item.container,
    )
    print_json(made)
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, "image_commit"))
