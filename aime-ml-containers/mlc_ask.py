"""Questions on stdin: numbered choices, a word, yes or no. Prompts go to stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from mlc_base import MlcError


def _line(prompt: str) -> str:
    print(prompt, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        print(file=sys.stderr)
        raise MlcError("no answer: the input has ended", "give all words, or use -s")
    return line.strip()


def choose(title: str, options: Sequence[str]) -> int:
    """Return the index of the chosen option; a number or its text is an answer."""
    for number, option in enumerate(options, 1):
        print(f"{number:4}) {option}", file=sys.stderr)
    while True:
        answer = _line(f"{title} (1-{len(options)}): ")
        if answer in options:
            return options.index(answer)
        # str.isdigit is true of digits that int does not read.
        if answer.isascii() and answer.isdigit() and 1 <= int(answer) <= len(options):
            return int(answer) - 1
        print(f"'{answer}' is none of the choices", file=sys.stderr)


def word(prompt: str, check: Callable[[str], object]) -> str:
    """Return a word that `check` does not refuse (it raises MlcError)."""
    while True:
        answer = _line(f"{prompt}: ")
        try:
            check(answer)
        except MlcError as error:
            print(error.message, file=sys.stderr)
        else:
            return answer


def confirm(question: str) -> bool:
    """Return True for a yes; anything else, also nothing, is a no."""
    return _line(f"{question} [y/N]: ").lower() in {"y", "yes"}
