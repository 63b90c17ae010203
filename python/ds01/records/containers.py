"""The memory of DS01: one record per container, and the event log.

The only program that writes below /var/lib/ds01 and /var/log/ds01. A record says who
made a container, when and how; `begin` marks a create in flight by its owner process,
so that whoever comes after a crash knows. Records are kept after removal as history.

Verbs: begin, finish, forget, removed, show, list, event. stdout: one JSON object.
Exit statuses: 0 done, 3 no such record, 4 another process is creating the container,
6 lock or record not usable, 7 state folder missing, full or not writable.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ds01.core import files
from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner, is_alive, owner_dict, owner_from, owner_of, user_name
from ds01.core.parser import Parser
from ds01.core.paths import Paths, find_paths
from ds01.core.program import print_json, program_name, run, say
from ds01.core.units import utc_stamp
from event_log import append_event

__all__ = [
    "annotate",
    "append_event",
    "begin",
    "finish",
    "forget",
    "list_records",
    "read_document",
    "read_text",
    "removed",
    "set_aside",
    "show",
    "state_lock",
    "write_document",
    "write_text",
]

Record = dict[str, Any]

VERSION = 1
# What a record is made of by this module; callers cannot set these.
RESERVED = ("version", "container", "phase", "owner", "history", "changed")
_HISTORY = 5
_LARGEST_RECORD = 256 * 1024

# Engine names; `#` is allowed by mlc. No slash, no leading dot or dash.
_CONTAINER = re.compile(r"[A-Za-z0-9_#][A-Za-z0-9_.#-]{0,199}", re.ASCII)


def record_path(paths: Paths, container: str) -> Path:
    """Return the file of a container's record; refuses names that are no file names."""
    if not _CONTAINER.fullmatch(container):
        raise HelperError(
            Exit.USAGE,
            f"'{container}' is not a container name",
            "use letters, digits and _ . - # only, 200 at most",
        )
    return paths.metadata / f"{container}.json"


@contextlib.contextmanager
def state_lock(
    paths: Paths,
    timeout: float = files.LOCK_SECONDS,
    prepare: Callable[[], object] | None = None,
) -> Iterator[None]:
    """Hold the lock of the state folder. It is not re-entrant.

    Who has to wait may `prepare` meanwhile, what it reads then may be old.
    """
    with files.locked(paths.state / "state.lock", timeout, prepare=prepare):
        files.ensure_folder(paths.metadata)
        yield


def read_document(path: Path) -> Record | None:
    """Return a JSON document of ours; None if there is none.

    Raises ValueError for one that cannot be used; set_aside() gets it out of the way.
    """
    text = read_text(path)
    if text is None:
        return None
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one kind for callers
    return document


def read_text(path: Path) -> str | None:
    """Return a document's text; None if there is none, ValueError if it is no text."""
    try:
        data = files.read_bytes(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise files.explain(error, "read", path) from error
    return data.decode("utf-8")


def set_aside(path: Path, reason: str, paths: Paths | None = None) -> Path:
    """Rename a document that cannot be used to `*.corrupt-TIME`; call it locked."""
    stamp = utc_stamp().replace(":", "").replace(".", "")
    target = path.with_name(f"{path.name}.corrupt-{stamp}")
    try:
        path.rename(target)
    except OSError as error:
        raise files.explain(error, "set aside", path) from error
    say("warning", f"'{path}' was not usable ({reason}), kept as '{target}'", "state")
    # The log may be what is full or broken; going on matters more.
    with contextlib.suppress(HelperError):
        append_event(
            "state-corrupt",
            paths=paths,
            file=str(path),
            kept=str(target),
            reason=reason,
        )
    return target


def write_document(
    path: Path,
    document: Mapping[str, Any],
    mode: int,
    *,
    compact: bool = False,
    largest: int = _LARGEST_RECORD,
) -> None:
    """Replace a JSON document as a whole; call it locked.

    `compact` is for documents that are written often: ten times as fast.
    """
    separators = (",", ":") if compact else None
    text = json.dumps(
        document,
        ensure_ascii=False,
        indent=None if compact else 1,
        separators=separators,
    )
    write_text(path, text + "\n", mode, largest)


def write_text(path: Path, text: str, mode: int, largest: int) -> None:
    """Replace a document's text as a whole; call it locked."""
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > largest:
        raise HelperError(Exit.USAGE, f"'{path.name}' would be {len(data)} bytes long")
    files.write_atomic(path, data, mode)


def _load(path: Path) -> Record | None:
    """Return a record, under the lock; one that is corrupt is set aside: None."""
    try:
        return read_document(path)
    except (ValueError, RecursionError) as error:
        set_aside(path, " ".join(str(error).split()))
        return None


def _save(path: Path, record: Mapping[str, Any]) -> None:
    write_document(path, record, files.PUBLIC_MODE)


def _check_fields(fields: Mapping[str, Any]) -> None:
    for name in fields:
        if name in RESERVED:
            raise HelperError(Exit.USAGE, f"field '{name}' is not for callers to set")


def _fresh(container: str, phase: str, fields: Mapping[str, Any]) -> Record:
    return {
        "version": VERSION,
        "container": container,
        "phase": phase,
        "changed": utc_stamp(),
        "user": user_name(),
        "uid": os.getuid(),
        **fields,
    }


def begin(
    paths: Paths,
    container: str,
    owner: Owner,
    fields: Mapping[str, Any],
    timeout: float = files.LOCK_SECONDS,
) -> Record:
    """Mark a create in flight; return {"container", "previous"}.

    `previous` is `none` (nothing, or removed), `ready` (a container was made and not
    removed through us) or `abandoned` (an earlier create that never came to its end).

    Raises HelperError(REFUSED) while another living process creates the container.
    """
    path = record_path(paths, container)
    _check_fields(fields)
    with state_lock(paths, timeout):
        old = _load(path)
        phase = old.get("phase") if old else None
        previous = {"ready": "ready", "creating": "abandoned"}.get(str(phase), "none")
        history = _list_of(old, "history")
        if old is not None and phase == "creating":
            _refuse_living(container, old, owner)
        elif old is not None:
            history = [
                *history,
                {name: value for name, value in old.items() if name != "history"},
            ][-_HISTORY:]
        record = _fresh(container, "creating", fields)
        record["owner"] = owner_dict(owner)
        record["begun"] = record["changed"]
        if history:
            record["history"] = history
        _save(path, record)
    return {"container": container, "previous": previous}


def _list_of(record: Record | None, name: str) -> list[Any]:
    value = (record or {}).get(name)
    return list(value) if isinstance(value, list) else []


def _refuse_living(container: str, record: Record, me: Owner) -> None:
    owner = owner_from(record.get("owner"))
    if owner is None or owner == me or not is_alive(owner):
        return
    raise HelperError(
        Exit.REFUSED,
        f"container '{container}' is being created by {record.get('user')} "
        f"(process {owner.pid}) since {record.get('begun')}",
        f"wait for it, or see what it does with 'ps -fp {owner.pid}'",
    )


def finish(
    paths: Paths,
    container: str,
    fields: Mapping[str, Any],
    timeout: float = files.LOCK_SECONDS,
) -> Record:
    """Mark a container as made and note what it is; return its record.

    A record that went away meanwhile is made anew; keys that others wrote are kept.
    """
    path = record_path(paths, container)
    _check_fields(fields)
    with state_lock(paths, timeout):
        record = _load(path) or _fresh(container, "ready", {})
        record.update(fields)
        record.update(phase="ready", changed=utc_stamp())
        record.setdefault("created", record["changed"])
        record.pop("owner", None)
        record.pop("removed", None)
        _save(path, record)
    return record


def forget(
    paths: Paths,
    container: str,
    owner: Owner | None = None,
    timeout: float = files.LOCK_SECONDS,
) -> Record:
    """Drop the record of a create that failed; return {"container", "forgotten"}.

    Only a record in flight is dropped; with `owner`, only that process's own or a
    dead one's. What was known of an earlier container of the name comes back.
    """
    path = record_path(paths, container)
    with state_lock(paths, timeout):
        record = _load(path)
        if record is None or record.get("phase") != "creating":
            return {"container": container, "forgotten": False}
        holder = owner_from(record.get("owner"))
        if owner and holder and holder != owner and is_alive(holder):
            return {"container": container, "forgotten": False}
        history = [item for item in _list_of(record, "history") if type(item) is dict]
        if history:
            *older, last = history
            _save(path, {**last, "history": older} if older else last)
        else:
            try:
                path.unlink()
            except OSError as error:
                raise files.explain(error, "remove", path) from error
    return {"container": container, "forgotten": True}


def removed(
    paths: Paths,
    container: str,
    fields: Mapping[str, Any] | None = None,
    timeout: float = files.LOCK_SECONDS,
) -> Record:
    """Mark a container as removed and keep its record as history; return the record."""
    path = record_path(paths, container)
    _check_fields(fields or {})
    with state_lock(paths, timeout):
        record = _load(path) or _fresh(container, "removed", {})
        record.update(fields or {})
        record.update(phase="removed", changed=utc_stamp())
        record["removed"] = record["changed"]
        record.pop("owner", None)
        _save(path, record)
    return record


def annotate(
    paths: Paths,
    container: str,
    notes: Mapping[str, Any],
    fields: Mapping[str, Any] | None = None,
    timeout: float = files.LOCK_SECONDS,
) -> None:
    """Set single fields of a container's record, whatever phase it is in.

    One without a record, such as compose's, gets one, with `fields` besides.
    """
    path = record_path(paths, container)
    _check_fields(notes)
    with state_lock(paths, timeout):
        record = _load(path) or _fresh(container, "ready", fields or {})
        if all(record.get(key) == value for key, value in notes.items()):
            return
        record.update(notes)
        record["changed"] = utc_stamp()
        _save(path, record)


def show(paths: Paths, container: str) -> Record:
    """Return a container's record; raises HelperError(NOT_FOUND) if there is none.

    Needs no lock, because records are replaced as a whole.
    """
    path = record_path(paths, container)
    try:
        record = read_document(path)
    except (ValueError, RecursionError):
        with state_lock(paths):
            record = _load(path)
    if record is None:
        raise HelperError(
            Exit.NOT_FOUND,
            f"no record of container '{container}'",
            "run 'container-list' to see your containers",
        )
    return record


def list_records(paths: Paths) -> list[Record]:
    """Return all records that can be read, ordered by container name."""
    found: list[Record] = []
    try:
        names = sorted(path.name for path in paths.metadata.iterdir())
    except FileNotFoundError:
        return found
    except OSError as error:
        raise files.explain(error, "read", paths.metadata) from error
    for name in names:
        if name.endswith(".json") and not name.startswith("."):
            with contextlib.suppress(ValueError, RecursionError, HelperError):
                record = read_document(paths.metadata / name)
                if record is not None:
                    found.append(record)
    return found


def _json_object(text: str) -> Record:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("not a JSON object")
    return value


def _picked(fields: Record, wanted: str) -> Record:
    """Return what is wanted of an object: `gpus=devices` names its `devices` `gpus`."""
    pairs = [word.partition("=") for word in wanted.split()]
    return {key: fields.get(member or key) for key, _, member in pairs}


def _process(text: str) -> Owner:
    owner = owner_of(int(text)) if text.isascii() and text.isdigit() else None
    if owner is None:
        raise argparse.ArgumentTypeError(f"no process '{text}'")
    return owner


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("state"), description=__doc__)
    parser.add_argument(
        "--lock-timeout", type=float, default=files.LOCK_SECONDS, metavar="SECONDS"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("begin", "finish", "forget", "removed", "show", "event"):
        words = verbs.add_parser(verb)
        words.add_argument("type" if verb == "event" else "container")
        if verb in {"begin", "forget"}:
            words.add_argument(
                "--owner-pid", type=_process, required=verb == "begin", metavar="PID"
            )
        if verb not in {"forget", "show"}:
            words.add_argument("--json", type=_json_object, default={}, dest="fields")
            # The shell need not start jq to choose and to name.
            words.add_argument("--pick", metavar="KEY[=MEMBER] …")
            words.add_argument("--set", nargs=2, action="append", default=[])
        if verb == "event":
            words.add_argument("--log", default="events")
    verbs.add_parser("list")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    paths, timeout = find_paths(), words.lock_timeout
    answer: Record
    if words.verb not in {"forget", "show", "list"}:
        if words.pick is not None:
            words.fields = _picked(words.fields, words.pick)
        words.fields = words.fields | dict(words.set)
    if words.verb == "begin":
        answer = begin(paths, words.container, words.owner_pid, words.fields, timeout)
    elif words.verb == "finish":
        answer = finish(paths, words.container, words.fields, timeout)
    elif words.verb == "forget":
        answer = forget(paths, words.container, words.owner_pid, timeout)
    elif words.verb == "removed":
        answer = removed(paths, words.container, words.fields, timeout)
    elif words.verb == "show":
        answer = show(paths, words.container)
    elif words.verb == "list":
        answer = {"records": list_records(paths)}
    else:
        reserved = {"type", "time", "log", "paths", "timeout"} & set(words.fields)
        if reserved:
            name = sorted(reserved)[0]
            raise HelperError(Exit.USAGE, f"field '{name}' is not for callers to set")
        answer = append_event(
            words.type, log=words.log, paths=paths, timeout=timeout, **words.fields
        )
    print_json(answer)
    return int(Exit.OK)


if __name__ == "__main__":
    sys.exit(run(main, "state"))
