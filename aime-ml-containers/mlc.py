#!/usr/bin/env python3
"""mlc: containers for machine learning, by the contract of AIME's mlc v2.

Started by the launcher `mlc`. The catalog is read from the folder of the path by
which this file was started, symbolic links not resolved; the modules lie beside the
real file.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from mlc_base import VERSION, Interrupted, MlcError, catch_signals, say, set_program

_WORKSPACE = "folder mounted at /workspace (default: ~/workspace)"
_VALUES = (
    ("-d", "--data_dir", "DIR", "folder mounted at /data"),
    ("-m", "--models_dir", "DIR", "folder mounted at /models"),
    ("-w", "--workspace_dir", "DIR", _WORKSPACE),
    ("-g", "--num_gpus", "GPUS", "as docker's --gpus (default: all)"),
)
# The function that does each command, as `module:function`, and what it is for.
_COMMANDS = {
    "create": ("mlc_create:create", "make a container from a framework's image"),
    "open": ("mlc_use:open_shell", "open a shell in a container"),
    "list": ("mlc_list:show", "list containers"),
    "stats": ("mlc_list:stats", "show what running containers use"),
    "start": ("mlc_use:start", "start a container, or a command in it"),
    "stop": ("mlc_use:stop", "stop a container"),
    "remove": ("mlc_use:remove", "remove a container and its image"),
    "export": ("mlc_export:export", "write a container to a file"),
    "import": ("mlc_import:import_container", "make a container from an exported file"),
    "update-sys": ("mlc_update:update", "update mlc itself"),
}


def add_words(verb: str, parser: argparse.ArgumentParser) -> None:
    """Declare the words and flags of one command."""
    add = parser.add_argument
    flag = functools.partial(add, action="store_true")
    if verb not in {"list", "stats", "update-sys", "import"}:
        add("name", nargs="?", help="name of the container")
    if verb == "create":
        add("framework", nargs="?", help="framework, as the catalog writes it")
        add("version", nargs="?", help="version of the framework")
        add("-arch", "--architecture", help="GPU architecture (default: this host's)")
        flag("-i", "--info", help="show frameworks and versions")
    if verb == "import":
        add("file", nargs="?", help="exported file, - for stdin")
        add("name", nargs="?", help="name of the new container (default: as exported)")
    if verb in {"create", "import"}:
        for short, long, metavar, text in _VALUES:
            add(short, long, metavar=metavar, help=text)
    if verb == "export":
        text = "file to write, - for stdout (default: NAME.mlc.tar)"
        add("file", nargs="?", help=text)
        flag("-f", "--force", help="replace an existing file")
    if verb == "list":
        flag("-a", "--all", help="all columns")
        flag("-au", "--all_users", help="containers of all users")
        flag("-arch", "--architecture", help="show the architecture")
        flag("-d", "--data_dir", help="show the data folder")
        flag("-m", "--models_dir", help="show the models folder")
        flag("-s", "--size", help="show the size (slow)")
        flag("-w", "--workspace_dir", help="show the workspace folder")
    if verb == "start":
        add("command", nargs="?", help="command to run in the container, by bash")
        flag("-d", "--detach", help="do not wait for the command")
    if verb in {"stop", "remove"}:
        flag("-f", "--force", help="do not ask; a running container too")
    if verb == "update-sys":
        flag("-f", "--force", help="give up local changes")
    if verb not in {"list", "stats", "update-sys"}:
        flag("-s", "--script", help="ask nothing: a missing word is an error")


def find(verb: str) -> Callable[[argparse.Namespace], int]:
    """Return what does a command; only its own modules are loaded, to start fast."""
    module, _, name = _COMMANDS[verb][0].partition(":")
    found: Callable[[argparse.Namespace], int] = getattr(import_module(module), name)
    return found


def usage() -> str:
    lines = [f"  {verb:<11} {text}" for verb, (_, text) in _COMMANDS.items()]
    return (
        "usage: mlc COMMAND [words]\n\n"
        + "\n".join(lines)
        + "\n\n  -h, --help  show this text; mlc COMMAND -h shows a command's words"
        "\n  -v, --version  show the version\n"
    )


def main(arguments: Sequence[str]) -> int:
    if not arguments:
        print("mlc: run 'mlc -h' to see the commands")
        return 0
    verb = arguments[0]
    if verb in {"-h", "--help"}:
        print(usage(), end="")
        return 0
    if verb in {"-v", "--version"}:
        print(f"mlc {VERSION}")
        return 0
    if verb not in _COMMANDS:
        raise MlcError(f"no command '{verb}'", f"commands: {', '.join(_COMMANDS)}")
    set_program(f"mlc {verb}")
    parser = argparse.ArgumentParser(
        prog=f"mlc {verb}", description=_COMMANDS[verb][1], allow_abbrev=False
    )
    add_words(verb, parser)
    words = parser.parse_args(arguments[1:])
    # Not resolve(): the catalog lies beside the link, where there is one.
    started_by = os.path.abspath(sys.argv[0])  # noqa: PTH100
    words.home = Path(started_by).parent
    return find(verb)(words)


def tell(error: MlcError) -> None:
    """Say why this run failed: on stderr, or in the file of who may know it better."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(KeyError, OSError):
            file = open(os.environ["MLC_FAILURE"], "w", encoding="utf-8")  # noqa: PTH123, SIM115
            stack.enter_context(contextlib.redirect_stderr(stack.enter_context(file)))
        say("error", error.message)
        if error.hint:
            say("hint", error.hint)


def _main() -> int:
    try:
        catch_signals()
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except MlcError as error:
        tell(error)
        return error.status
    except Interrupted as error:
        return 128 + error.number
    except BrokenPipeError:
        # The reader (head, less) has gone: not worth a word, but no success either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(_main())
