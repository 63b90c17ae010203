"""Say what the word under the cursor may be, for the completion of the shells.

`complete.py -- COMMAND WORD...` takes the words up to the cursor, the last one being
typed, and prints a line for each candidate: the word, a tab, what it is. A first line
`:files` or `:folders` leaves the word to the shell. What a word may be, the header of
the command says: its options, its verbs, and what the words in its usage are called.

It never prints an error and ends within a second, whatever the engine does. Exit
status: always 0.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from ds01.help.complete import SECONDS, _leave, complete


def main(argv: Sequence[str]) -> int:
    # Nothing may hang a prompt, nor write on it.
    signal.signal(signal.SIGALRM, _leave)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    with suppress(Exception):
        words = argv[argv.index("--") + 1 :]
        if len(words) > 1:
            for line in complete(words):
                sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    # Python's way out takes the handler away first, and the signal would be told.
    signal.setitimer(signal.ITIMER_REAL, 0)
    return 0


if __name__ == "__main__":
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(main(sys.argv[1:]))
