"""Exit statuses and the one error that is expected: docs/exit-codes.md."""

from __future__ import annotations

from enum import IntEnum


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
