"""state.py, core/files.py, records/event_log.py, core/owner.py: records, events, locks."""

# One case a line reads better than a wrapped one.
# ruff: noqa: E501

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import BenchUser
from ds01.core import files
from ds01.core import owner as core_owner
from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner, is_alive, owner_of
from ds01.core.paths import Paths, find_paths
from ds01.records import containers
from ds01.records.event_log import append_event

PYTHON = Path(__file__).resolve().parents[3] / "python"
HELPER = PYTHON / "state.py"
NAME = "my.project_1._.39101"


@pytest.fixture
def paths(ds01_root: Path) -> Paths:
    """The file layout of this test."""
    del ds01_root  # it sets the environment
    return find_paths()


@pytest.fixture
def me() -> Owner:
    """This process as an owner."""
    found = owner_of(os.getpid())
    assert found is not None
    return found


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Another living process."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def helper(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-sE", HELPER, *words],
        capture_output=True,
        text=True,
        check=False,
    )


def spawn(code: str, *words: str) -> subprocess.Popen[str]:
    """Start a Python process that has the helpers at hand."""
    head = f"import sys; sys.path.insert(0, {str(PYTHON)!r}); import os, time\n"
    head += "from ds01.core import files as locked_files, owner as process_owner\n"
    head += "from ds01.records import containers as state, event_log\n"
    head += "from ds01.core.errors import *\nfrom ds01.core.paths import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + code, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def events(paths: Paths) -> list[dict[str, Any]]:
    return [json.loads(line) for line in paths.events.read_text().splitlines()]


def record_file(paths: Paths) -> Path:
    return paths.metadata / f"{NAME}.json"


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".ds01-tmp")]


# -- the life of a record --------------------------------------------------------------


def test_begin_finish_removed(paths: Paths, me: Owner) -> None:
    assert containers.begin(paths, NAME, me, {"image": "x"}) == {
        "container": NAME,
        "previous": "none",
    }
    record = containers.show(paths, NAME)
    assert record["phase"] == "creating"
    assert record["owner"] == core_owner.owner_dict(me)
    record = containers.finish(paths, NAME, {"id": "abc"})
    assert (record["phase"], record["image"], record["id"]) == ("ready", "x", "abc")
    assert "owner" not in record
    record = containers.removed(paths, NAME)
    assert record["phase"] == "removed"
    assert record["removed"].endswith("Z")
    assert containers.show(paths, NAME) == record
    assert containers.begin(paths, NAME, me, {})["previous"] == "none"


def test_begin_tells_what_was_before(
    paths: Paths, me: Owner, sleeper: subprocess.Popen[bytes]
) -> None:
    other = owner_of(sleeper.pid)
    assert other is not None
    containers.begin(paths, NAME, other, {})
    sleeper.kill()
    sleeper.wait()
    assert containers.begin(paths, NAME, me, {})["previous"] == "abandoned"
    containers.finish(paths, NAME, {})
    assert containers.begin(paths, NAME, me, {})["previous"] == "ready"
    # The same process may try again.
    assert containers.begin(paths, NAME, me, {})["previous"] == "abandoned"


def test_begin_refuses_while_another_process_creates(
    paths: Paths, me: Owner, sleeper: subprocess.Popen[bytes]
) -> None:
    other = owner_of(sleeper.pid)
    assert other is not None
    containers.begin(paths, NAME, other, {})
    with pytest.raises(HelperError) as caught:
        containers.begin(paths, NAME, me, {})
    assert caught.value.code == Exit.REFUSED
    assert f"(process {sleeper.pid}) since 20" in caught.value.message
    assert containers.show(paths, NAME)["owner"]["pid"] == sleeper.pid


def test_forget_drops_only_what_is_in_flight(paths: Paths, me: Owner) -> None:
    gone = {"container": NAME, "forgotten": False}
    assert containers.forget(paths, NAME) == gone
    containers.begin(paths, NAME, me, {})
    assert containers.forget(paths, NAME)["forgotten"] is True
    assert not record_file(paths).exists()
    containers.begin(paths, NAME, me, {})
    containers.finish(paths, NAME, {})
    assert containers.forget(paths, NAME) == gone
    assert containers.show(paths, NAME)["phase"] == "ready"


def test_forget_leaves_the_record_of_another_living_owner(
    paths: Paths, me: Owner, sleeper: subprocess.Popen[bytes]
) -> None:
    other = owner_of(sleeper.pid)
    assert other is not None
    containers.begin(paths, NAME, other, {})
    assert containers.forget(paths, NAME, me)["forgotten"] is False
    assert containers.forget(paths, NAME, other)["forgotten"] is True


def test_failed_create_keeps_the_history_of_the_name(paths: Paths, me: Owner) -> None:
    for number in range(8):
        containers.begin(paths, NAME, me, {"number": number})
        containers.finish(paths, NAME, {})
        containers.removed(paths, NAME)
    before = containers.show(paths, NAME)
    assert [old["number"] for old in before["history"]] == [2, 3, 4, 5, 6]
    containers.begin(paths, NAME, me, {"number": 8})
    containers.forget(paths, NAME)
    after = containers.show(paths, NAME)
    assert after["number"] == 7
    assert [old["number"] for old in after["history"]] == [3, 4, 5, 6]


def test_unknown_keys_are_kept(paths: Paths, me: Owner) -> None:
    containers.begin(paths, NAME, me, {})
    record = containers.show(paths, NAME)
    record["from_a_later_version"] = {"a": [1]}
    record_file(paths).write_text(json.dumps(record))
    containers.finish(paths, NAME, {})
    assert containers.removed(paths, NAME)["from_a_later_version"] == {"a": [1]}


def test_finish_and_removed_without_a_record(paths: Paths) -> None:
    assert containers.finish(paths, NAME, {"id": "a"})["phase"] == "ready"
    record_file(paths).unlink()
    assert containers.removed(paths, NAME)["phase"] == "removed"


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", ".a", "-a", "a b", "a\nb", "ä", "a" * 201]
)
def test_names_that_are_no_file_names_are_refused(paths: Paths, name: str) -> None:
    with pytest.raises(HelperError) as caught:
        containers.finish(paths, name, {})
    assert caught.value.code == Exit.USAGE


def test_callers_cannot_set_what_is_ours(paths: Paths) -> None:
    with pytest.raises(HelperError, match="field 'phase'"):
        containers.finish(paths, NAME, {"phase": "removed"})


def test_list_skips_what_it_cannot_read(paths: Paths) -> None:
    containers.finish(paths, "b._.1", {})
    containers.finish(paths, "a._.1", {})
    (paths.metadata / "c._.1.json").write_text("{")
    found = [record["container"] for record in containers.list_records(paths)]
    assert found == ["a._.1", "b._.1"]


# -- corrupt and missing ---------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b'{"a":', b"[]", b"\xff\xfe", b"[" * 100_000])
def test_corrupt_record_is_set_aside_and_logged(
    paths: Paths, me: Owner, data: bytes
) -> None:
    record_file(paths).write_bytes(data)
    with pytest.raises(HelperError) as caught:
        containers.show(paths, NAME)
    assert caught.value.code == Exit.NOT_FOUND
    (kept,) = paths.metadata.glob("*.corrupt-*")
    assert kept.read_bytes() == data
    (event,) = events(paths)
    assert (event["type"], event["kept"]) == ("state-corrupt", str(kept))
    assert containers.begin(paths, NAME, me, {})["previous"] == "none"


def test_missing_state_folder_says_what_to_do(paths: Paths) -> None:
    paths.metadata.rmdir()
    paths.state.rmdir()
    done = helper("finish", NAME)
    assert (done.returncode, done.stdout) == (7, "")
    assert f"folder '{paths.state}' does not exist" in done.stderr
    assert "hint: run install.sh again" in done.stderr


def test_missing_metadata_folder_is_made(paths: Paths) -> None:
    paths.metadata.rmdir()
    containers.finish(paths, NAME, {})
    assert stat.S_IMODE(paths.metadata.stat().st_mode) == 0o2777


def test_missing_log_folder_says_what_to_do(paths: Paths) -> None:
    paths.log.rmdir()
    done = helper("event", "denied")
    assert (done.returncode, done.stdout) == (7, "")
    assert f"folder '{paths.log}' does not exist" in done.stderr


def test_state_can_be_deleted_at_any_time(paths: Paths, me: Owner) -> None:
    containers.begin(paths, NAME, me, {})
    for path in [*paths.metadata.iterdir(), paths.metadata]:
        path.rmdir() if path.is_dir() else path.unlink()
    (paths.state / "state.lock").unlink()
    assert containers.begin(paths, NAME, me, {})["previous"] == "none"


# -- modes -----------------------------------------------------------------------------


def test_modes_do_not_depend_on_the_umask(paths: Paths) -> None:
    before = os.umask(0o077)
    try:
        containers.finish(paths, NAME, {})
        append_event("tried", paths=paths)
    finally:
        os.umask(before)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for folder in (paths.metadata, paths.state, paths.log)
        for path in folder.iterdir()
        if path.is_file()
    }
    assert modes == {
        f"{NAME}.json": 0o664,
        "state.lock": 0o660,
        ".events.lock": 0o660,
        "events.jsonl": 0o660,
    }


# -- locks -----------------------------------------------------------------------------


def hold(lock: Path) -> subprocess.Popen[str]:
    """Start a process that holds a lock until its stdin closes."""
    holder = spawn(
        "with locked_files.locked(Path(sys.argv[1]), purpose='container-create'):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n",
        str(lock),
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_lock_timeout_names_the_holder_and_changes_nothing(paths: Paths) -> None:
    containers.finish(paths, NAME, {})
    before = record_file(paths).read_bytes()
    holder = hold(paths.state / "state.lock")
    try:
        done = helper("--lock-timeout", "0.2", "removed", NAME)
    finally:
        holder.communicate()
    assert (done.returncode, done.stdout) == (6, "")
    who = core_owner.user_name()
    expected = f"held by 'container-create' of {who} (process {holder.pid}) since 20"
    assert expected in done.stderr
    assert "waited 0.2 s" in done.stderr
    assert f"'ps -p {holder.pid}'" in done.stderr
    assert record_file(paths).read_bytes() == before
    assert helper("removed", NAME).returncode == 0


def test_lock_of_a_killed_holder_is_free(paths: Paths) -> None:
    holder = hold(paths.state / "state.lock")
    holder.kill()
    holder.communicate()
    containers.finish(paths, NAME, {}, timeout=5)


def test_lock_holds_between_threads(paths: Paths) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(20):
            with files.locked(paths.state / "x.lock", timeout=180):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) == 160


def test_lock_file_removed_while_it_is_waited_for(paths: Paths) -> None:
    lock = paths.state / "x.lock"
    holder = hold(lock)
    waiter = spawn(
        "with locked_files.locked(Path(sys.argv[1]), timeout=180):\n"
        "    a = os.stat(sys.argv[1]).st_ino\n"
        "    print(a == [os.fstat(int(f)).st_ino for f in os.listdir('/proc/self/fd')\n"
        "        if os.path.exists('/proc/self/fd/' + f)\n"
        "        and os.path.realpath('/proc/self/fd/' + f) == os.path.realpath(\n"
        "            sys.argv[1])][0])\n",
        str(lock),
    )
    time.sleep(0.3)
    lock.unlink()
    holder.communicate()
    output, errors = waiter.communicate(timeout=180)
    assert (output, errors) == ("True\n", "")


def test_unreadable_holder_is_reported_as_such(paths: Paths) -> None:
    lock = paths.state / "x.lock"
    holder = hold(lock)
    lock.write_text("{nonsense")
    try:
        with (
            pytest.raises(HelperError, match="a process that left no name") as caught,
            files.locked(lock, timeout=0),
        ):
            pytest.fail("the lock was not held")
    finally:
        holder.communicate()
    assert caught.value.code == Exit.CONFIG


# -- many processes, kill -9 -----------------------------------------------------------


def test_one_of_many_processes_may_create(paths: Paths) -> None:
    del paths
    code = (
        "sys.stdin.readline()\n"
        "try:\n"
        "    state.begin(find_paths(), sys.argv[1], process_owner.owner_of(os.getpid()),"
        " {}, timeout=180)\n"
        "    print('mine', flush=True)\n"
        "except HelperError as error:\n"
        "    print(int(error.code), flush=True)\n"
        "sys.stdin.read()\n"
    )
    racers = [spawn(code, NAME) for _ in range(12)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = [racer.stdout.readline().strip() for racer in racers if racer.stdout]
    for racer in racers:
        racer.communicate()
    assert sorted(answers) == ["4"] * 11 + ["mine"]


def test_no_update_of_many_processes_is_lost(paths: Paths) -> None:
    code = (
        "for n in range(20):\n"
        "    state.finish(find_paths(), sys.argv[1], {sys.argv[2] + str(n): n}, 120)\n"
        "    event_log.append_event('tried', timeout=120, who=sys.argv[2], n=n,"
        " long='x' * 5000)\n"
    )
    writers = [spawn(code, NAME, f"w{number}_") for number in range(8)]
    for writer in writers:
        assert writer.communicate()[1] == ""
    record = containers.show(paths, NAME)
    assert all(record[f"w{w}_{n}"] == n for w in range(8) for n in range(20))
    lines = events(paths)
    assert len(lines) == 160
    times = [line["time"] for line in lines]
    assert times == sorted(times)
    for number in range(8):
        mine = [line["n"] for line in lines if line["who"] == f"w{number}_"]
        assert mine == list(range(20))
    assert leftovers(paths.metadata) == []


def test_kill_at_any_moment_leaves_a_whole_record(paths: Paths) -> None:
    containers.finish(paths, NAME, {"n": -1, "pad": ""})
    code = (
        "print('on', flush=True)\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1\n"
        "    state.finish(find_paths(), sys.argv[1], {'n': n, 'pad': 'x' * 60000}, 60)\n"
        "    event_log.append_event('tried', n=n, pad='y' * 3000)\n"
    )
    chance = random.Random(7)  # noqa: S311 - only for moments to kill at
    for _ in range(12):
        writer = spawn(code, NAME)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(chance.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        record = json.loads(record_file(paths).read_text())
        assert record["phase"] == "ready"
        assert len(record["pad"]) in {0, 60000}
    # A next write goes through at once and sweeps what the killed left.
    containers.finish(paths, NAME, {}, timeout=5)
    append_event("after", paths=paths, timeout=5)
    assert leftovers(paths.metadata) == []
    lines = paths.events.read_text().splitlines()
    torn = 0
    for line in lines:
        try:
            json.loads(line)
        except ValueError:
            torn += 1
    # A write(2) of one line is not cut by a signal on a local file system.
    assert torn == 0
    assert json.loads(lines[-1])["type"] == "after"


def test_leftover_of_a_killed_writer_is_swept_and_no_other_file(paths: Paths) -> None:
    boot = core_owner.boot_id()[:8]
    living = owner_of(os.getpid())
    assert living is not None
    dead = paths.metadata / f".ds01-tmp.{os.getpid()}.1.{boot}.1"
    rebooted = paths.metadata / f".ds01-tmp.{living.pid}.{living.start}.00000000.1"
    kept = [
        paths.metadata / f".ds01-tmp.{living.pid}.{living.start}.{boot}.999999",
        paths.metadata / ".ds01-tmp.notes",
        paths.metadata / "other.json",
    ]
    for path in (dead, rebooted, *kept):
        path.write_text("x")
    containers.finish(paths, NAME, {})
    assert not dead.exists()
    assert not rebooted.exists()
    assert all(path.exists() for path in kept)


def test_failed_write_leaves_the_old_record(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers.finish(paths, NAME, {"n": 1})
    before = record_file(paths).read_bytes()

    def broken(_file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(HelperError, match="input/output error") as caught:
        containers.finish(paths, NAME, {"n": 2})
    assert caught.value.code == Exit.CONFIG
    assert record_file(paths).read_bytes() == before
    assert leftovers(paths.metadata) == []


# -- events ----------------------------------------------------------------------------


def test_an_event_picks_names_and_adds_members(paths: Paths) -> None:
    shown = json.dumps({"id": "i", "devices": ["GPU-1"], "size": 5})
    picks = ("--pick", "id gpus=devices missing", "--set", "name", '{"a": "ü"}')
    done = helper("event", "started", "--json", shown, *picks, "--set", "id", "j")
    assert done.returncode == 0, done.stderr
    event = json.loads(paths.events.read_text(encoding="utf-8"))
    wanted = {"id": "j", "gpus": ["GPU-1"], "missing": None, "name": '{"a": "ü"}'}
    assert event == event | wanted
    assert "size" not in event
    refused = helper("event", "started", "--set", "time", "now")
    assert refused.returncode == Exit.USAGE


def test_event_says_who_when_and_what(paths: Paths) -> None:
    done = helper("event", "denied", "--json", '{"rule": "max_gpus", "uid": 5}')
    assert done.returncode == 0, done.stderr
    (line,) = events(paths)
    assert line == json.loads(done.stdout)
    assert line["type"] == "denied"
    assert line["user"] == core_owner.user_name()
    assert (line["uid"], line["rule"], line["command"]) == (5, "max_gpus", "state")
    assert line["time"][-5] == "."
    assert line["time"].endswith("Z")


def test_events_survive_rotation(paths: Paths) -> None:
    append_event("one", paths=paths)
    paths.events.rename(paths.log / "events.jsonl.1")
    append_event("two", paths=paths)
    assert [line["type"] for line in events(paths)] == ["two"]


def test_half_a_line_of_a_crash_is_ended(paths: Paths) -> None:
    paths.events.write_bytes(b'{"half":')
    append_event("one", paths=paths)
    half, whole = paths.events.read_text().splitlines()
    assert half == '{"half":'
    assert json.loads(whole)["type"] == "one"


def test_line_breaks_and_odd_bytes_stay_in_one_line(paths: Paths) -> None:
    append_event("one", paths=paths, text="a\nb\u2028ü\udcff", path=Path("/x"))
    data = paths.events.read_bytes()
    assert data.count(b"\n") == 1
    assert json.loads(data)["path"] == "/x"


def test_allocations_have_a_log_of_their_own(paths: Paths) -> None:
    append_event("granted", log="gpu-allocations", paths=paths)
    assert not paths.events.exists()
    line = (paths.log / "gpu-allocations.log").read_text()
    assert json.loads(line)["type"] == "granted"


@pytest.mark.parametrize(
    "words",
    [
        ("X",),
        ("a b",),
        ("ok", "--log", "../x"),
        ("ok", "--json", "[]"),
        ("ok", "--json", '{"type": "x"}'),
    ],
)
def test_bad_events_are_usage_errors(ds01_root: Path, words: tuple[str, ...]) -> None:
    del ds01_root
    done = helper("event", *words)
    assert (done.returncode, done.stdout) == (2, "")


# -- owners ----------------------------------------------------------------------------


def test_owner_is_this_very_process(me: Owner) -> None:
    assert is_alive(me)
    assert not is_alive(me._replace(start=me.start + 1))
    assert not is_alive(me._replace(boot="another"))
    assert not is_alive(me._replace(pid=0))
    assert not is_alive(me._replace(pid=2**22 + 1))


def test_zombie_is_dead() -> None:
    process = subprocess.Popen(["sleep", "600"])
    owner = owner_of(process.pid)
    assert owner is not None
    process.kill()
    deadline = time.monotonic() + 120
    while is_alive(owner) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(owner)
    assert owner_of(process.pid) is None
    process.wait()


def test_odd_process_names_are_read(tmp_path: Path) -> None:
    program = tmp_path / "a) Z (1"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([program, "600"])
    try:
        owner = owner_of(process.pid)
        assert owner is not None
        assert owner.start > 0
        assert is_alive(owner)
    finally:
        process.kill()
        process.wait()


def test_process_that_cannot_be_seen_counts_as_alive(
    monkeypatch: pytest.MonkeyPatch, me: Owner
) -> None:
    monkeypatch.setattr(core_owner, "_process", lambda _pid: None)
    assert is_alive(me)


# -- verbs -----------------------------------------------------------------------------


def test_verbs(ds01_root: Path) -> None:
    del ds01_root
    pid = str(os.getpid())
    done = helper("begin", NAME, "--owner-pid", pid, "--json", '{"image": "x"}')
    assert json.loads(done.stdout) == {"container": NAME, "previous": "none"}
    assert json.loads(helper("finish", NAME, "--json", "{}").stdout)["image"] == "x"
    assert json.loads(helper("show", NAME).stdout)["phase"] == "ready"
    assert json.loads(helper("removed", NAME).stdout)["phase"] == "removed"
    assert json.loads(helper("forget", NAME).stdout)["forgotten"] is False
    assert len(json.loads(helper("list").stdout)["records"]) == 1


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("x",),
        ("begin", NAME),
        ("begin", NAME, "--owner-pid", "0"),
        ("finish", NAME, "--json", "{"),
    ],
)
def test_wrong_words_are_exit_2(ds01_root: Path, words: tuple[str, ...]) -> None:
    del ds01_root
    done = helper(*words)
    assert (done.returncode, done.stdout) == (2, "")


def test_show_of_nothing_is_exit_3(ds01_root: Path) -> None:
    del ds01_root
    assert helper("show", NAME).returncode == 3


# -- other users, full disks -----------------------------------------------------------


def as_user(user: BenchUser, *words: str) -> subprocess.CompletedProcess[str]:
    python = "/usr/bin/python3"  # the venv's may lie where others cannot look
    return user.run([python, "-sE", HELPER, *words])


def share(paths: Paths, gid: int) -> None:
    """Give the folders to a group, as install.sh does."""
    for folder in (paths.state, paths.metadata, paths.log):
        os.chown(folder, 0, gid)
        folder.chmod(0o2770)


@pytest.mark.engine
def test_members_of_the_group_share_the_state(
    paths: Paths, users: dict[str, BenchUser]
) -> None:
    import grp

    share(paths, grp.getgrnam("ds01t-docker").gr_gid)
    containers.finish(paths, NAME, {"root": 1})
    append_event("root", paths=paths)
    for key in ("alice", "ldap", "huge"):
        done = as_user(users[key], "finish", NAME, "--json", f'{{"{key}": 1}}')
        assert done.returncode == 0, done.stderr
        done = as_user(users[key], "event", key)
        assert done.returncode == 0, done.stderr
    containers.removed(paths, NAME, {"root": 2})
    record = containers.show(paths, NAME)
    assert [record[key] for key in ("root", "alice", "ldap", "huge")] == [2, 1, 1, 1]
    lines = events(paths)
    assert [line["type"] for line in lines] == ["root", "alice", "ldap", "huge"]
    assert lines[3]["uid"] == users["huge"].uid
    assert lines[2]["user"] == users["ldap"].name


@pytest.mark.engine
def test_outsider_is_told_what_to_do(paths: Paths, users: dict[str, BenchUser]) -> None:
    import grp

    share(paths, grp.getgrnam("ds01t-docker").gr_gid)
    for words in (("finish", NAME), ("event", "denied")):
        done = as_user(users["outsider"], *words)
        assert (done.returncode, done.stdout) == (7, "")
        assert "permission denied" in done.stderr
        assert "hint: ask the administrator to add 'ds01t-outsider'" in done.stderr


@pytest.fixture
def small_disk(paths: Paths) -> Iterator[Paths]:
    """State and log on a file system of 256 KiB."""
    mounted: list[Path] = []
    try:
        for folder in (paths.state, paths.log):
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=256k,mode=2777", "ds01", folder],
                check=True,
            )
            mounted.append(folder)
        yield paths
    finally:
        for folder in mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.engine
def test_full_disk_leaves_the_old_state(small_disk: Paths) -> None:
    paths = small_disk
    containers.finish(paths, NAME, {"n": 1})
    append_event("before", paths=paths)
    record, log = record_file(paths).read_bytes(), paths.events.read_bytes()
    for folder in (paths.state, paths.log):
        with contextlib.suppress(OSError), (folder / "filler").open("wb") as filler:
            while filler.write(b"x" * 4096):
                filler.flush()
    done = helper("finish", NAME, "--json", json.dumps({"pad": "x" * 20000}))
    assert (done.returncode, done.stdout) == (7, "")
    assert "no space left on device" in done.stderr
    assert "hint: make room, 'df -h" in done.stderr
    done = helper("event", "after", "--json", json.dumps({"pad": "x" * 20000}))
    assert (done.returncode, done.stdout) == (7, "")
    assert record_file(paths).read_bytes() == record
    assert paths.events.read_bytes() == log
    assert leftovers(paths.metadata) == leftovers(paths.log) == []
    for folder in (paths.state, paths.log):
        (folder / "filler").unlink()
    assert helper("finish", NAME, "--json", '{"n": 2}').returncode == 0
    assert helper("event", "after").returncode == 0
