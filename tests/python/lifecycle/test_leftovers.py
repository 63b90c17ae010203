"""What DS01 leaves behind goes, by age; what is anybody's own stays."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ds01.core.engine import Engine
from ds01.core.errors import HelperError
from ds01.core.paths import PROJECT_ROOT, Paths
from ds01.core.units import utc_stamp
from ds01.lifecycle import leftover_rules, leftovers
from ds01.lifecycle.leftover_rules import File, Image, InUse, Removal
from ds01.policy import limits
from ds01.policy.types import Policy
from ds01.records import containers
from gpu_world import make_paths

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=timezone.utc)
WEEK = 7 * 86400
OLD, YOUNG = NOW - timedelta(days=8), NOW - timedelta(days=6)
LABELS = {"ds01.managed": "1", "ds01.uid": "1001"}
BUILT = {
    "ds01.image.uid": "1001",
    "ds01.build.by": "77.88.boot",
    "ds01.image.created": utc_stamp(OLD),
}
RECORD = {
    "container": "job._.1001",
    "phase": "removed",
    "uid": 1001,
    "image": "aimehub/pytorch:job._.1001",
    "changed": utc_stamp(OLD),
}


def image(*tags: str, labels: dict[str, str] | None = None, **fields: Any) -> Image:
    made = Image("sha256:1", tags, labels or {}, OLD, OLD)
    return replace(made, **fields)


def gone(
    found: Image, in_use: InUse | None = None, *records: dict[str, Any]
) -> list[Removal]:
    known = {str(record["container"]): record for record in records}
    return list(leftover_rules.images([found], in_use or InUse(), known, NOW, WEEK))


PREPARED = "aimehub/pytorch:job._.1001"


def test_a_prepared_image_of_a_container_that_is_gone() -> None:
    (removal,) = gone(image(PREPARED), None, RECORD)
    assert removal == Removal(
        "prepared-image",
        PREPARED,
        "its container 'job._.1001' is gone",
        "job._.1001",
        1001,
    )
    # AIME's mlc, and bases of a registry with a port.
    port = "host:5000/base:job._.1001"
    assert gone(image(port), None, {**RECORD, "image": "host:5000/base:v1"})
    # Committed by a move: the container's labels tell.
    assert gone(image(PREPARED, labels=LABELS))


@pytest.mark.parametrize(
    ("found", "in_use", "record"),
    [
        # Nothing proves that DS01 had it made.
        (image(PREPARED), InUse(), None),
        (image(PREPARED), InUse(), {**RECORD, "image": "other/base"}),
        (image(PREPARED, labels={**LABELS, "ds01.uid": "7"}), InUse(), None),
        # A user's own, made by docker commit.
        (image("backup:job._.1001", labels=LABELS), InUse(), RECORD),
        (image("aimehub/pytorch:latest"), InUse(), RECORD),
        (image("x:job._.1001x"), InUse(), {**RECORD, "container": "job._.1001x"}),
        # In use.
        (image(PREPARED), InUse(frozenset({"job._.1001"})), RECORD),
        (image(PREPARED), InUse(images=frozenset({"sha256:1"})), RECORD),
        # Young, or named anew.
        (image(PREPARED, used=YOUNG), InUse(), RECORD),
        (image(PREPARED), InUse(), {**RECORD, "changed": utc_stamp(YOUNG)}),
        (image(PREPARED), InUse(), {**RECORD, "changed": "no time"}),
    ],
)
def test_images_that_stay(
    found: Image, in_use: InUse, record: dict[str, Any] | None
) -> None:
    assert gone(found, in_use, *([record] if record else [])) == []


def test_an_earlier_base_of_a_container_is_known_by_the_records_history() -> None:
    record = {**RECORD, "image": "new/base:job._.1001", "history": [RECORD, "junk"]}
    assert gone(image(PREPARED), None, record)


def test_moved_images() -> None:
    name = "ds01-moved:job._.1001"
    assert [r.kind for r in gone(image(name, labels=LABELS))] == ["moved-image"]
    assert [r.kind for r in gone(image("ds01-moved:any-name", labels=LABELS))] == [
        "moved-image"
    ]
    assert gone(image(name)) == []
    assert gone(image(name, labels={**LABELS, "ds01.uid": "1002"})) == []
    assert gone(image(name, labels=LABELS), InUse(frozenset({"job._.1001"}))) == []


def test_a_second_name_goes_and_the_image_stays() -> None:
    alias = "ds01-untagged/base:latest"
    assert [r.what for r in gone(image("base:v1", alias))] == [alias]
    assert gone(image(alias)) == []
    assert gone(image("base:v1", alias), InUse(images=frozenset({"sha256:1"}))) == []


def test_what_builds_leave() -> None:
    assert [r.what for r in gone(image(labels=BUILT))] == ["sha256:1"]
    assert gone(image(labels=BUILT), InUse(images=frozenset({"sha256:1"}))) == []
    assert gone(image("ds01/alice/x:latest", labels=BUILT)) == []
    # A user's own, made from ours: committed from a container, or built upon.
    assert gone(image(labels={**BUILT, **LABELS})) == []
    assert gone(image(labels=BUILT, made=OLD + timedelta(days=1))) == []
    assert gone(image(labels={"ds01.image.uid": "1001"})) == []
    assert gone(image(labels={**BUILT, "ds01.image.created": "-"})) == []
    assert gone(image()) == []


def test_records() -> None:
    known = {"job._.1001": RECORD}

    def left(*named: str, keep: int | None = WEEK, names: str = "") -> list[Removal]:
        in_use = InUse(frozenset({names}))
        return list(leftover_rules.records(known, in_use, named, NOW, keep))

    assert [(r.what, r.uid, r.seen) for r in left()] == [("job._.1001", 1001, OLD)]
    assert left(keep=None) == []
    assert left(keep=9 * 86400) == []
    assert left(names="job._.1001") == []
    # It proves whose the image is.
    assert left("job._.1001") == []


def test_files() -> None:
    file = File(Path("/x"), OLD, "lock", "gone", "job._.1001")
    assert list(leftover_rules.files([file], InUse(), NOW, WEEK)) == [
        Removal("lock", "/x", "gone", "job._.1001")
    ]
    assert not list(
        leftover_rules.files([replace(file, used=YOUNG)], InUse(), NOW, WEEK)
    )
    in_use = InUse(frozenset({"job._.1001"}))
    assert not list(leftover_rules.files([file], in_use, NOW, WEEK))


def test_names_of_images() -> None:
    assert leftover_rules.repository("host:5000/a/b:tag@sha256:0") == "host:5000/a/b"
    assert leftover_rules.tag_of("host:5000/a/b:tag") == "tag"
    assert leftover_rules.tag_of("host:5000/a/b") == ""


# On files and a pretended engine --------------------------------------------------


class QuietEngine(Engine):
    """An engine without images, with the containers given."""

    def __init__(self, *names: str) -> None:
        super().__init__("unix:///nowhere")
        self.names = names

    def get(self, path: str, query: Any = None) -> Any:
        if path == "/containers/json":
            return [{"Names": [f"/{name}"], "ImageID": "x"} for name in self.names]
        return []


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return make_paths(tmp_path / "a root")


@pytest.fixture
def policy(paths: Paths) -> Policy:
    text = (PROJECT_ROOT / "config/resource-limits.yaml").read_text(encoding="utf-8")
    paths.policy.write_text(text, encoding="utf-8")
    return limits.load_policy(paths.policy)


@pytest.fixture(autouse=True)
def no_temporary_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(leftovers, "TEMPORARY", folder)
    yield folder


def age(path: Path, days: float) -> None:
    moment = time.time() - days * 86400
    os.utime(path, (moment, moment))


def dead_pid() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def put(path: Path, days: float, text: str = "{}") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    age(path, days)
    return path


def events(paths: Paths) -> list[dict[str, Any]]:
    if not paths.events.exists():
        return []
    return [json.loads(line) for line in paths.events.read_text().splitlines()]


def sweep(
    paths: Paths, policy: Policy, *names: str, dry_run: bool = False
) -> list[str]:
    now = datetime.now(timezone.utc)
    engine = QuietEngine(*names)
    look = leftovers.find if dry_run else leftovers.sweep
    found = look(paths, engine, policy, now)
    return sorted(Path(removal.what).name for removal in found)


def test_files_and_folders_of_those_who_are_gone(
    paths: Paths, policy: Policy, no_temporary_folders: Path
) -> None:
    tmp = no_temporary_folders
    dead = dead_pid()
    for name in (
        f"ds01-run.{dead}.abc",
        f"ds01-gateway-{dead}-x_y",
        f"ds01-run.{os.getpid()}.abc",
        f"ds01-other.{dead}.abc",
        f"ds01-run.{dead}.young",
    ):
        folder = tmp / name
        (folder / "deep/er").mkdir(parents=True)
        age(folder, 0 if name.endswith("young") else 8)
    (tmp / f"ds01-run.{dead}.link").symlink_to(paths.etc)
    put(paths.state / "sessions/gone._.1.lock", 8)
    put(paths.state / "sessions/gone._.1.move.lock", 8)
    put(paths.state / "sessions/here._.1.lock", 8)
    put(paths.state / "sessions/young._.1.lock", 6)
    put(paths.state / "pins/old.json", 31)
    put(paths.state / "pins/new.json", 29)
    put(paths.state / "gpu-state.json.corrupt-20260101T000000000Z", 91)
    put(paths.metadata / "a._.1.json.corrupt-20260101T000000000Z", 89)
    before = sorted(str(path) for path in paths.state.parent.rglob("*"))
    wanted = [
        f"ds01-gateway-{dead}-x_y",
        f"ds01-run.{dead}.abc",
        "gone._.1.lock",
        "gone._.1.move.lock",
        "gpu-state.json.corrupt-20260101T000000000Z",
        "old.json",
    ]
    assert sweep(paths, policy, "here._.1", dry_run=True) == sorted(wanted)
    assert sorted(str(path) for path in paths.state.parent.rglob("*")) == before
    assert sweep(paths, policy, "here._.1") == sorted(wanted)
    assert not (tmp / f"ds01-run.{dead}.abc").exists()
    assert (tmp / f"ds01-run.{os.getpid()}.abc").exists()
    assert (tmp / f"ds01-run.{dead}.link").is_symlink()
    assert (paths.state / "sessions/here._.1.lock").exists()
    assert {event["type"] for event in events(paths)} == {"leftover-removed"}
    assert len(events(paths)) == len(wanted)
    assert all(event["by"] == "lifecycle" for event in events(paths))


def test_a_lock_that_somebody_holds_stays(paths: Paths, policy: Policy) -> None:
    lock = put(paths.state / "sessions/gone._.1.lock", 8)
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert sweep(paths, policy) == []
    assert lock.exists()
    (paths.state / leftovers.FILE).unlink()
    assert sweep(paths, policy) == ["gone._.1.lock"]


def test_it_looks_once_an_hour(paths: Paths, policy: Policy) -> None:
    now = datetime.now(timezone.utc)
    put(paths.state / "sessions/a._.1.lock", 8)
    assert leftovers.is_due(paths, now)
    assert sweep(paths, policy) == ["a._.1.lock"]
    put(paths.state / "sessions/b._.1.lock", 8)
    assert sweep(paths, policy) == []
    assert sweep(paths, policy, dry_run=True) == ["b._.1.lock"]
    assert leftovers.is_due(paths, now + timedelta(minutes=61))
    # A clock that was ahead, and a file that is broken.
    assert leftovers.is_due(paths, now - timedelta(days=1))
    (paths.state / leftovers.FILE).write_text("[]")
    assert leftovers.is_due(paths, now)


def test_a_record_that_changes_meanwhile_stays(
    paths: Paths, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers.removed(paths, "job._.1001", {"image": "x"})
    file = paths.metadata / "job._.1001.json"
    record = json.loads(file.read_text())
    ancient = utc_stamp(datetime.now(timezone.utc) - timedelta(days=91))
    file.write_text(json.dumps({**record, "changed": ancient, "removed": ancient}))
    assert sweep(paths, policy, dry_run=True) == ["job._.1001"]
    assert sweep(paths, policy, "job._.1001", dry_run=True) == []
    found = leftovers.find

    def and_then(*words: Any) -> list[Removal]:
        removals = found(*words)
        containers.removed(paths, "job._.1001", {})
        return removals

    monkeypatch.setattr(leftovers, "find", and_then)
    assert sweep(paths, policy) == []
    assert file.exists()
    monkeypatch.undo()
    file.write_text(json.dumps({**record, "changed": ancient, "removed": ancient}))
    now = datetime.now(timezone.utc) + timedelta(hours=2)
    (removal,) = leftovers.sweep(paths, QuietEngine(), policy, now)
    assert removal.kind == "record"
    assert not file.exists()
    assert events(paths)[-1]["container"] == "job._.1001"


def test_an_engine_that_does_not_answer_removes_nothing(
    paths: Paths, policy: Policy
) -> None:
    lock = put(paths.state / "sessions/a._.1.lock", 8)
    with pytest.raises(HelperError):
        leftovers.sweep(
            paths, Engine("unix:///nowhere"), policy, datetime.now(timezone.utc)
        )
    assert lock.exists()
    assert leftovers.is_due(paths, datetime.now(timezone.utc))


# On the engine -------------------------------------------------------------------


def docker(*words: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(
        ["docker", *words], input=stdin, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def built(text: str, *words: str) -> str:
    return docker("build", "-q", *words, "-", stdin=text.encode())


@pytest.mark.engine
def test_images_on_the_engine(paths: Paths, policy: Policy, docker_host: str) -> None:
    base = built("FROM scratch\nLABEL l3=base\n", "-t", "l3-test/base:latest")
    made: list[str] = []
    stamp = utc_stamp()

    def prepare(name: str, *, record: bool = True, label: str = "") -> None:
        made.append(f"l3-test/base:{name}")
        text = f"FROM l3-test/base\nLABEL l3={name}\n{label}"
        built(text, "-t", made[-1])
        if record:
            containers.removed(paths, name, {"image": made[-1]})

    try:
        prepare("gone._.1001")
        prepare("others._.1001", record=False)
        prepare("used._.1001")
        docker("create", "--name", "l3-test-user", "l3-test/base:used._.1001", "x")
        prepare("alive._.1001")
        docker("create", "--name", "alive._.1001", "l3-test/base", "x")
        labels = (
            f"LABEL ds01.image.uid=1001 ds01.build.by=1.2.x ds01.image.created={stamp}"
        )
        docker("tag", "l3-test/base:gone._.1001", "l3-test/mine:latest")
        dangling = built(f"FROM l3-test/base\n{labels}\n")
        foreign = built("FROM l3-test/base\nLABEL l3=dangling\n")
        now = datetime.now(timezone.utc)
        with Engine(docker_host) as engine:
            young = leftovers.sweep(paths, engine, policy, now + timedelta(days=6))
            assert [r.what for r in young if "l3-test" in r.what] == []
            later = now + timedelta(days=8)
            removals = leftovers.sweep(paths, engine, policy, later)
        what = {r.what for r in removals}
        assert "l3-test/base:gone._.1001" in what
        assert dangling in what
        assert "l3-test/base:others._.1001" not in what
        left = docker("images", "-a", "--format", "{{.Repository}}:{{.Tag}}").split()
        assert "l3-test/base:gone._.1001" not in left
        # Another name of the same image is somebody's.
        assert "l3-test/mine:latest" in left
        for name in ("others._.1001", "used._.1001", "alive._.1001", "latest"):
            assert f"l3-test/base:{name}" in left
        docker("image", "inspect", foreign)
        with pytest.raises(AssertionError):
            docker("image", "inspect", dangling)
        lines = [line["what"] for line in events(paths)]
        assert "l3-test/base:gone._.1001" in lines
    finally:
        for name in ("l3-test-user", "alive._.1001"):
            subprocess.run(["docker", "rm", "-f", name], check=False)
        for name in (*made, "l3-test/mine", "l3-test/base", base):
            subprocess.run(["docker", "rmi", "-f", name], check=False)
        subprocess.run(["docker", "image", "prune", "-f"], check=False)
