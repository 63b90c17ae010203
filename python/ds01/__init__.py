"""What DS01 does, in rooms; docs/architecture.md has their order."""

import os
import sys
from importlib.machinery import PathFinder

# Packages of requirements.txt that programs cannot do without, as they are imported.
NEEDED = ("yaml", "h11", "jinja2", "pynvml")

for _name in NEEDED:
    if PathFinder.find_spec(_name) is None:
        # Said here, before anything is begun that would break off in the middle.
        _program = os.environ.get("COMMAND_NAME") or "ds01"
        sys.stderr.write(
            f"{_program}: error: the Python package '{_name}' is not installed here\n"
            f"{_program}: hint: run './install.sh', or 'tests/run' in a clone, which "
            "make 'venv/bin/python3'\n"
        )
        sys.exit(7)
