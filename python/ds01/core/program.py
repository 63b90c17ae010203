"""What every program does around its main: names itself, tells messages, leaves.

A helper prints exactly one JSON object on stdout or nothing, messages on stderr,
and exits with a status of the table in docs/exit-codes.md.
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from types import TracebackType

from ds01.core.errors import Exit, HelperError


def program_name(fallback: str) -> str:
    """Return the command that the user typed, for messages (set by lib/run-command)."""
    return os.environ.get("COMMAND_NAME") or fallback


# Control characters in names and engine messages could rewrite a terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def say(kind: str, message: str, fallback: str) -> None:
    """Print one message line on stderr: `<command>: <kind>: <message>`."""
    text = _CONTROL.sub("?", message)
    print(f"{program_name(fallback)}: {kind}: {text}", file=sys.stderr)


def report(error: HelperError, fallback: str) -> int:
    """Print an expected failure and its hint; return its exit status."""
    say("error", error.message, fallback)
    if error.hint:
        say("hint", error.hint, fallback)
    return int(error.code)


def _uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Say in one line that a package is missing; in a clone nothing is installed."""
    if not isinstance(error, ModuleNotFoundError):
        sys.__excepthook__(kind, error, trace)
        return
    told = HelperError(
        Exit.PREREQUISITE,
        f"the Python package '{error.name}' is not installed here",
        "run './install.sh', or 'tests/run' in a clone, which make 'venv/bin/python3'",
    )
    os._exit(report(told, "ds01"))


# Also of what fails while a program is still loading, which run() does not see.
sys.excepthook = _uncaught


def run(
    body: Callable[[Sequence[str] | None], int],
    fallback: str,
    argv: Sequence[str] | None = None,
) -> int:
    """Run a helper's main and turn expected failures into messages and a status.

    Ctrl-C that came while it was loading, where the shell had it held back, comes now.
    """
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        status = body(argv)
        _flush_output()
    except HelperError as error:
        return report(error, fallback)
    except KeyboardInterrupt:
        return int(Exit.LEFT)
    except BrokenPipeError:
        # The reader (head, less) went away: not worth a word, but not a success.
        _drop_output()
        return int(Exit.BUG)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        from ds01.core.disk_full import no_space  # noqa: PLC0415 - only when something is wrong

        _drop_output()
        return report(no_space(error), fallback)
    return status


def _flush_output() -> None:
    """Write what is still held back now, while it can be told that it failed."""
    try:
        print(end="", flush=True)
    except OSError as error:
        error.filename = "/proc/self/fd/1"
        raise


def _drop_output() -> None:
    """Forget what cannot be written, which would be tried once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def print_json(value: object) -> None:
    """Print one JSON object and a newline on stdout."""
    json.dump(value, sys.stdout, ensure_ascii=False, separators=(",", ":"))
    sys.stdout.write("\n")
