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
from collections.abc import Sequence
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
_COMMANDS = {
    "create": "make a container from a framework's image",
    "open": "open a shell in a container",
    "list": "list containers",
    "stats": "show what running containers use",
    "start": "start a container, or a command in it",
    "stop": "stop a container",
    "remove": "remove a container and its image",
    "export": "write a container to a file",
    "import": "make a container from an exported file",
    "update-sys": "update mlc itself",
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


def run(verb: str, words: argparse.Namespace, home: Path) -> int:
    """Run one command; only its own modules are loaded (PLC0415), to start fast."""
    if verb == "create":
        from mlc_create import create  # noqa: PLC0415

        return create(words, home)
    if verb == "export":
        from mlc_export import export  # noqa: PLC0415

        return export(words)
    if verb == "import":
        from mlc_import import import_container  # noqa: PLC0415

        return import_container(words)
    if verb == "update-sys":
        from mlc_update import update  # noqa: PLC0415

        return update(words)
    if verb in {"list", "stats"}:
        import mlc_list  # noqa: PLC0415

        return mlc_list.show(words) if verb == "list" else mlc_list.stats()
    import mlc_use  # noqa: PLC0415

    actions = {
        "open": mlc_use.open_shell,
        "start": mlc_use.start,
        "stop": mlc_use.stop,
        "remove": mlc_use.remove,
    }
    return actions[verb](words)


def usage() -> str:
    lines = [f"  {verb:<11} {text}" for verb, text in _COMMANDS.items()]
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
        prog=f"mlc {verb}", description=_COMMANDS[verb], allow_abbrev=False
    )
    add_words(verb, parser)
    words = parser.parse_args(arguments[1:])
    # Not resolve(): the catalog lies beside the link, where there is one.
    started_by = os.path.abspath(sys.argv[0])  # noqa: PTH100
    return run(verb, words, Path(started_by).parent)


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
