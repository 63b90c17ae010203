"""What every DS01 helper shares: exit codes, the error form, and the file layout.

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
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Exit(IntEnum):
    """Exit statuses, the same in shell (lib/core.bash) and Python."""

    OK = 0
    BUG = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    NO_GPU = 5
    CONFIG = 6
    PREREQUISITE = 7
    LEFT = 130


class HelperError(Exception):
    """An expected failure: an exit status, one line that says what is wrong, a hint.

    The message is lower case, names the offending value in single quotes and has no
    full stop; the hint is one next step that can be typed.
    """

    def __init__(self, code: Exit, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


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
        from disk_full import no_space  # noqa: PLC0415 - only when something is wrong

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


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a typing error most likely meant, or None.

    Upper and lower case are the same; the answer is spelled as it is known.
    """
    import difflib  # noqa: PLC0415 - only when something is wrong

    spelled = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(word.casefold(), list(spelled), n=1, cutoff=0.6)
    return spelled[close[0]] if close else None


class Paths(NamedTuple):
    """Where this installation keeps its files."""

    etc: Path
    state: Path
    log: Path

    @property
    def policy(self) -> Path:
        return self.etc / "resource-limits.yaml"

    @property
    def settings(self) -> Path:
        return self.etc / "ds01.yaml"

    @property
    def hooks(self) -> Path:
        return self.etc / "hooks.d"

    @property
    def metadata(self) -> Path:
        return self.state / "container-metadata"

    @property
    def events(self) -> Path:
        return self.log / "events.jsonl"


def find_paths() -> Paths:
    """Return the file layout.

    DS01_ROOT puts everything below one folder (tests). An installation without root
    leaves `paths.json` beside the program, naming its XDG folders. Otherwise the
    system folders hold.

    Raises HelperError(CONFIG) where paths.json is not as install.sh wrote it.
    """
    root = os.environ.get("DS01_ROOT")
    if root:
        base = Path(root)
        return Paths(base / "etc/ds01", base / "var/lib/ds01", base / "var/log/ds01")
    layout = PROJECT_ROOT / "paths.json"
    if layout.exists():
        try:
            named = json.loads(layout.read_text(encoding="utf-8"))
            return Paths(Path(named["etc"]), Path(named["state"]), Path(named["log"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HelperError(
                Exit.CONFIG,
                f"'{layout}' is not as the installer wrote it: {error}",
                "run install.sh again",
            ) from error
    return Paths(Path("/etc/ds01"), Path("/var/lib/ds01"), Path("/var/log/ds01"))
