"""Tells the owner of a container what will happen to it, or has: on the terminals where
they are, on those inside the container, by mail if the policy says so, and to the
site's own programs in hooks.d/lifecycle. Nothing of this can fail the pass.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ds01.core.errors import HelperError
from ds01.core.paths import Paths
from ds01.core.program import say
from ds01.lifecycle import notices, terminals
from ds01.lifecycle.types import Subject

if TYPE_CHECKING:
    import subprocess

PROGRAM = "lifecycle"
# What has happened, and is as true when the owner comes.
_LASTING = frozenset({"stopped", "found-stopped", "removed"})
_SENDMAIL = ("/usr/sbin/sendmail", "/usr/lib/sendmail")
# Together, for all programs that are told.
_PATIENCE_SECONDS = 10.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# What an address may be without quotes; other accounts get no mail.
_ACCOUNT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*", re.ASCII)


@dataclass(frozen=True)
class Message:
    """Something that the owner of `about` should know.

    `kind` is the event's type, `text` one sentence, `hint` what can be done. `pid` is a
    process in the container, 0 where it does not run; `facts` are the event's.
    """

    kind: str
    about: Subject
    text: str
    hint: str = ""
    pid: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


def tell(paths: Paths, messages: Sequence[Message], *, mail: bool) -> None:
    """Tell the messages everywhere."""
    for message in messages:
        if not to_terminals(message) and message.kind in _LASTING:
            _leave(paths, message)
    children = [
        child
        for message in messages
        for child in _start_programs(paths, message, mail=mail)
    ]
    _wait(children)


def _leave(paths: Paths, message: Message) -> None:
    """Leave the message for the owner's next login or command."""
    try:
        now = datetime.now(timezone.utc)
        notices.leave(paths, message.about.uid, message.text, now)
    except HelperError as error:
        say("warning", f"not left for {message.about.user}: {error.message}", PROGRAM)


def screen_text(message: Message) -> str:
    """Return what a terminal shows: whole lines, whatever was on it before."""
    lines = [f"DS01: {message.text}"]
    if message.hint:
        lines.append(f"DS01: hint: {message.hint}")
    clean = [_CONTROL.sub("?", line) for line in lines]
    # The terminal may be in raw mode, where a line feed only goes down.
    return "\r\n" + "\r\n".join(clean) + "\r\n"


def to_terminals(message: Message) -> int:
    """Write a message to the owner's terminals and the container's; count them.

    A terminal that shows the container's, or is divided by tmux, gets it by way of
    that.
    """
    text = screen_text(message)
    inside = 0
    if message.pid > 0:
        inside = terminals.write_inside(message.pid, message.about.id, text)
    outside = 0
    for terminal in terminals.of_user(message.about.uid, message.about.user):
        shows = terminal.shows(message.about.container, message.about.id)
        if terminal.is_divided or (inside and shows):
            continue
        outside += terminals.write(terminal, text)
    return inside + outside


def _start_programs(
    paths: Paths, message: Message, *, mail: bool
) -> list[subprocess.Popen[bytes]]:
    children = []
    facts = {
        "type": message.kind,
        "container": message.about.container,
        "name": message.about.name,
        "user": message.about.user,
        "uid": message.about.uid,
        "text": message.text,
        "hint": message.hint,
        **message.facts,
    }
    for hook in hooks(paths):
        children.append(_start([str(hook)], json.dumps(facts).encode() + b"\n"))
    sender = next((path for path in _SENDMAIL if os.access(path, os.X_OK)), None)
    if mail and sender is not None and _ACCOUNT.fullmatch(message.about.user):
        children.append(_start([sender, "-i", "-t"], mail_text(message)))
    return [child for child in children if child is not None]


def hooks(paths: Paths) -> list[Path]:
    """Return the site's programs that are told, in the order of their names."""
    try:
        found = sorted((paths.hooks / "lifecycle").iterdir())
    except OSError:
        return []
    return [path for path in found if path.is_file() and os.access(path, os.X_OK)]


def mail_text(message: Message) -> bytes:
    """Return a mail to the owner."""
    subject = _CONTROL.sub("?", f"DS01: {message.text}")
    body = f"{message.text}\n"
    if message.hint:
        body += f"\n{message.hint}\n"
    words = (
        f"To: {message.about.user}\n"
        f"Subject: {subject}\n"
        "Auto-Submitted: auto-generated\n"
        "Content-Type: text/plain; charset=utf-8\n"
        f"\n{body}"
    )
    return words.encode("utf-8", "replace")


def _start(words: Sequence[str], data: bytes) -> subprocess.Popen[bytes] | None:
    import subprocess  # noqa: PLC0415 - rarely needed

    try:
        # No pipe: it would have to wait for a program that does not read.
        with os.fdopen(os.memfd_create("message"), "r+b") as source:
            source.write(data)
            source.seek(0)
            return subprocess.Popen(
                words,
                stdin=source,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
    except OSError as error:
        say("warning", f"'{words[0]}' cannot be run: {error.strerror}", PROGRAM)
        return None


def _wait(children: Sequence[subprocess.Popen[bytes]]) -> None:
    if not children:
        return
    import subprocess  # noqa: PLC0415 - rarely needed

    deadline = time.monotonic() + _PATIENCE_SECONDS
    for child in children:
        name = child.args[0] if isinstance(child.args, list) else child.args
        try:
            status = child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            say("warning", f"'{name!s}' took too long and was ended", PROGRAM)
        else:
            if status != 0:
                say("warning", f"'{name!s}' failed with status {status}", PROGRAM)
