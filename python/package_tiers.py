"""Print the tiers and use cases of packages.yaml as one JSON object, for menus.

`{"tiers": [{"name", "title", "pip", "apt"}], "use_cases": [...]}`, in the file's order.
Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict

from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import print_json, program_name, run
from ds01.images.source.packages import load_packages


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog=program_name("package_tiers"), description=__doc__)
    parser.parse_args(argv)
    found = load_packages(find_paths().etc / "packages.yaml")
    print_json(
        {
            "tiers": [asdict(tier) for tier in found.tiers],
            "use_cases": [asdict(tier) for tier in found.use_cases],
        }
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(main, "package_tiers"))
