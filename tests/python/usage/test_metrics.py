"""The metrics for Prometheus: figures, text format, counters over rotations."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ds01.core import settings
from ds01.core.errors import Exit, HelperError
from ds01.core.paths import PROJECT_ROOT
from ds01.core.processes import Process
from ds01.gpus.allocator import report
from ds01.usage import metric_counters, metric_table, metrics
from ds01.usage.metric_counters import Counters, Place, add, read_on
from ds01.usage.metric_table import METRICS, Samples
from gpu_world import World, gpu, make_paths, with_processes

NAME = re.compile(r"\bds01_[a-z0-9_]+")
NOW = datetime(2026, 11, 2, 9, 0, tzinfo=timezone.utc)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(make_paths(tmp_path / "a world"))
    lines = (PROJECT_ROOT / "config/ds01.yaml").read_text(encoding="utf-8")
    folder = tmp_path / "text files"
    folder.mkdir()
    lines = lines.replace("metrics_dir: auto", f"metrics_dir: {folder}")
    world.paths.settings.write_text(lines, encoding="utf-8")
    return world


def write(world: World, **fields: Any) -> tuple[Path, str]:
    status = report.status(world.allocator().desk)
    figures = metrics.Pass(world.now, 0.25, status=status)
    path = metrics.write_metrics(
        world.paths, replace(figures, **fields), lambda uid: f"group{uid % 2}"
    )
    assert path is not None
    return path, path.read_text(encoding="utf-8")


def values(text: str) -> dict[str, float]:
    """Series with labels -> value."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            assert series not in found, series
            found[series] = float(value)
    return found


def promtool(*words: str, stdin: str | None = None, folder: Path | None = None) -> str:
    done = subprocess.run(
        ["promtool", *words],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_figures_of_a_busy_server(world: World) -> None:
    world.run("job._.1", 1, "full:2")
    world.run("mig._.2", 2, "1g.5gb")
    world.stop("mig._.2")
    world.pass_time(minutes=5)
    world.inventory = with_processes(
        world.inventory, world.inventory.devices[-1].uuid, Process(77, "python")
    )
    _, text = write(world, idle={"job._.1": 90.5, "mig._.2": 5.0})
    found = values(text)
    assert found['ds01_user_gpus{user="user1",group="group1",state="allocated"}'] == 2
    held = found['ds01_user_gpus{user="user2",group="group0",state="held"}']
    assert held == pytest.approx(1 / 7, abs=1e-6)
    assert found['ds01_gpu_devices{profile="full",state="allocated"}'] == 2
    assert found['ds01_gpu_devices{profile="full",state="free"}'] == 0
    assert found['ds01_gpu_devices{profile="1g.5gb",state="foreign"}'] == 1
    assert (
        found['ds01_user_containers{user="user2",group="group0",state="stopped"}'] == 1
    )
    # Only a container that runs can idle.
    idle = [series for series in found if "idle" in series]
    assert idle == ['ds01_container_idle_seconds{container="job._.1",user="user1"}']
    assert found[idle[0]] == 90.5
    assert found["ds01_gpu_grants_total"] == 2
    assert found["ds01_lifecycle_pass_duration_seconds"] == 0.25
    assert found["ds01_lifecycle_pass_timestamp_seconds"] == world.now.timestamp()
    assert found["ds01_nvml_up"] == found["ds01_engine_up"] == 1
    assert found['ds01_disk_size_bytes{place="state"}'] > 0


def test_promtool_finds_nothing_to_say(world: World) -> None:
    world.inventory = replace(
        world.inventory,
        devices=(
            gpu(0, name='A "100"\\ \nx', utilisation=37, temperature=61, memory_used=5),
            gpu(1, sick="it has fallen off the bus"),
        ),
    )
    world.run("job._.1", 1, "full")
    for line in LINES:
        log_line(world.paths.events, **line)
    _, text = write(world, idle={"job._.1": 1.0}, skipped="it's a test")
    names = {line.split()[2] for line in text.splitlines() if "# TYPE" in line}
    # All of them were written, so promtool has seen all of them.
    assert names == {metric.name for metric in METRICS}
    assert promtool("check", "metrics", stdin=text) == ""
    assert 'name="A \\"100\\"\\\\ \\nx"' in text


def test_what_is_not_known_is_left_out(world: World) -> None:
    world.inventory = replace(world.inventory, devices=(), error="out of step")
    _, text = write(world, skipped="the driver does not answer")
    assert values(text)["ds01_nvml_up"] == 0
    assert values(text)["ds01_lifecycle_pass_skipped"] == 1
    reason = 'reason="the driver does not answer"'
    assert values(text)[f"ds01_lifecycle_pass_skipped_info{{{reason}}}"] == 1
    world.engine_up = False
    _, text = write(world)
    assert values(text)["ds01_engine_up"] == 0
    assert not [series for series in values(text) if series.startswith("ds01_user_c")]
    _, text = write(world, status=None, skipped="the policy is broken")
    assert "ds01_gpu_devices" not in text
    assert "ds01_engine_up" not in text
    assert promtool("check", "metrics", stdin=text) == ""


def test_it_can_be_read_by_all_and_leaves_no_other_file(world: World) -> None:
    path, _ = write(world)
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == ["ds01.prom"]


def test_where_it_is_written(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = tmp_path / "node-exporter"
    monkeypatch.setattr(settings, "_NODE_EXPORTER", exporter)
    auto = settings.Settings()
    assert settings.metrics_folder(auto) is None
    exporter.mkdir()
    assert settings.metrics_folder(auto) == exporter
    assert settings.metrics_folder(settings.Settings(metrics_dir=None)) is None
    text = world.paths.settings.read_text(encoding="utf-8")
    world.paths.settings.write_text(
        re.sub("metrics_dir: .*", "metrics_dir: null", text), encoding="utf-8"
    )
    figures = metrics.Pass(world.now, 1)
    assert metrics.write_metrics(world.paths, figures, str) is None


def test_a_failure_is_a_warning_and_never_more(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    path, before = write(world)
    path.unlink()
    path.parent.rmdir()
    figures = metrics.Pass(world.now, 1)
    assert metrics.write_metrics(world.paths, figures, str) is None
    assert "no metrics: cannot write" in capsys.readouterr().err
    world.paths.settings.write_text("version: 1\nmetrics_dir: here\n")
    assert metrics.write_metrics(world.paths, figures, str) is None
    assert "must be auto, or an absolute path" in capsys.readouterr().err
    assert before


def test_a_user_of_no_group(world: World) -> None:
    world.run("job._.1", 1, "full")

    def refuse(uid: int) -> str:
        raise HelperError(Exit.REFUSED, f"no group for {uid}")

    status = report.status(world.allocator().desk)
    samples = Samples()
    metrics.put_users(samples, status, refuse)
    assert 'user="user1",group="",state="allocated"} 1' in samples.text()


# Counters ------------------------------------------------------------------------

LINES: tuple[dict[str, Any], ...] = (
    {"type": "enqueue", "ticket": 1, "time": "2026-11-02T09:00:00.000Z"},
    {"type": "enqueue", "ticket": 2, "time": "2026-11-02T09:00:00.000Z"},
    {
        "type": "grant",
        "ticket": 1,
        "devices": ["GPU-1"],
        "time": "2026-11-02T09:02:30.500Z",
    },
    {"type": "leave", "ticket": 2, "reason": "left", "time": "2026-11-02T09:03:00Z"},
    {"type": "grant", "devices": []},
    {"type": "refuse", "code": "quota", "rule": "max_gpus"},
    {"type": "refuse", "code": "queue", "rule": ""},
    {"type": "denied", "code": "mounts"},
    {"type": "image-built"},
    {"type": "image-failed"},
    {"type": "stopped", "by": "lifecycle"},
    {"type": "stopped"},
    {"type": "leftover-removed", "kind": "record", "by": "lifecycle"},
)


def log_line(path: Path, **line: Any) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def test_lines_are_counted() -> None:
    sums = add(Counters(), list(LINES)).sums
    assert sums == {
        ("ds01_gpu_grants_total", ""): 1,
        ("ds01_gpu_wait_seconds_sum", ""): 150.5,
        ("ds01_gpu_wait_seconds_count", ""): 1,
        ("ds01_gpu_waits_abandoned_total", "left"): 1,
        ("ds01_gpu_refusals_total", "max_gpus"): 1,
        ("ds01_gpu_refusals_total", "queue"): 1,
        ("ds01_requests_denied_total", "mounts"): 1,
        ("ds01_image_builds_total", "ok"): 1,
        ("ds01_image_builds_total", "failed"): 1,
        ("ds01_lifecycle_actions_total", "stopped"): 1,
        ("ds01_leftovers_removed_total", "record"): 1,
    }


def test_a_wait_over_two_passes_and_an_endless_queue() -> None:
    first = add(Counters(), [LINES[0]])
    assert first.waiting == {"1": "2026-11-02T09:00:00.000Z"}
    assert add(first, [LINES[2]]).sums["ds01_gpu_wait_seconds_sum", ""] == 150.5
    many = [{**LINES[0], "ticket": number} for number in range(3000)]
    assert len(add(Counters(), many).waiting) == 1000


def test_a_label_holds_no_text_of_others() -> None:
    line = {"type": "refuse", "rule": 'x"} 1\nds01_info 7' + "y" * 99}
    ((_, label),) = add(Counters(), [line]).sums
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", label)


def kinds(lines: list[dict[str, Any]]) -> list[str]:
    return [line["n"] for line in lines]


def test_a_log_is_read_on_over_rotation_truncation_and_half_lines(
    tmp_path: Path,
) -> None:
    log = tmp_path / "events.jsonl"
    place = Place()
    assert read_on(log, place) == ([], place)
    log_line(log, n="a")
    lines, place = read_on(log, place)
    assert kinds(lines) == ["a"]
    with log.open("a") as file:
        file.write('{"n": "b')
    lines, place = read_on(log, place)
    assert lines == []
    with log.open("a") as file:
        file.write('"}\nno json\n[1]\n')
    lines, place = read_on(log, place)
    assert kinds(lines) == ["b"]
    # Between two passes lines were added, the log was rotated, lines were added.
    log_line(log, n="c")
    log.rename(tmp_path / "events.jsonl.1")
    log_line(log, n="d", more="than the next")
    lines, place = read_on(log, place)
    assert kinds(lines) == ["c", "d"]
    assert read_on(log, place)[0] == []
    log.write_text("")
    log_line(log, n="e")
    lines, place = read_on(log, place)
    assert kinds(lines) == ["e"]


def test_a_long_log_is_read_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_counters, "MOST_BYTES", 64)
    log = tmp_path / "events.jsonl"
    for number in range(50):
        log_line(log, n=str(number))
    found: list[str] = []
    place = Place()
    for _ in range(50):
        lines, place = read_on(log, place)
        found += kinds(lines)
    assert found == [str(number) for number in range(50)]
    # What was rotated away is read to its end at once.
    log.rename(tmp_path / "events.jsonl.1")
    log_line(log, n="new")
    lines, _ = read_on(log, Place(place.inode, 0))
    assert kinds(lines) == [*found, "new"]


def test_counters_last_over_passes_and_survive_a_broken_file(world: World) -> None:
    log_line(world.paths.events, type="image-built")
    write(world)
    log_line(world.paths.events, type="image-built")
    _, text = write(world)
    assert values(text)['ds01_image_builds_total{result="ok"}'] == 2
    file = world.paths.state / metric_counters.FILE
    before = file.stat().st_mtime_ns
    write(world)
    # Nothing new: nothing written.
    assert file.stat().st_mtime_ns == before
    for broken in ("{", "[]", '{"sums": 7}', '{"places": {"events": 1}}'):
        file.write_text(broken)
        _, text = write(world)
        assert values(text)['ds01_image_builds_total{result="ok"}'] == 2


# What others name ----------------------------------------------------------------


def test_the_table_in_the_docs_is_the_table() -> None:
    text = (PROJECT_ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `ds01_")]
    wanted = [
        f"| `{m.name}` | {m.kind} | {', '.join(m.labels) or '-'} | {m.help} |"
        for m in METRICS
    ]
    assert rows == wanted


def expressions(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in {"expr", "query"} and isinstance(item, str):
                yield item
            yield from expressions(item)
    elif isinstance(value, list):
        for item in value:
            yield from expressions(item)


def test_the_dashboard_names_every_metric_and_no_other() -> None:
    path = PROJECT_ROOT / "config/grafana/ds01.json"
    board = json.loads(path.read_text(encoding="utf-8"))
    found = [expression for expression in expressions(board) if "ds01_" in expression]
    named = {
        metric_table.family(name).name
        for expression in found
        for name in NAME.findall(expression)
    }
    assert named == {metric.name for metric in METRICS}
    for panel in board["panels"]:
        assert panel["title"]
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                (series, *_) = NAME.findall(target["expr"])
                assert label in {*metric_table.family(series).labels, "instance"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_its_expressions_are_promql(tmp_path: Path) -> None:
    board = json.loads((PROJECT_ROOT / "config/grafana/ds01.json").read_text())
    rules = [
        {"record": f"x:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(
            target["expr"] for panel in board["panels"] for target in panel["targets"]
        )
    ]
    path = tmp_path / "rules.yml"
    # JSON is YAML.
    path.write_text(json.dumps({"groups": [{"name": "x", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))


def test_alert_rules_are_sound_and_work() -> None:
    path = PROJECT_ROOT / "config/prometheus/alerts.yml"
    for expression in re.findall(r"expr: (.*)", path.read_text(encoding="utf-8")):
        for name in NAME.findall(expression):
            metric_table.family(name)
    promtool("check", "rules", "--lint-fatal", str(path))
    tests = PROJECT_ROOT / "tests/fixtures/prometheus"
    assert "SUCCESS" in promtool("test", "rules", "alerts.test.yml", folder=tests)
    text = (tests / "alerts.test.yml").read_text(encoding="utf-8")
    for alert in re.findall(r"- alert: (\w+)", path.read_text(encoding="utf-8")):
        assert re.search(rf"alertname: {alert}\n *exp_alerts:", text), alert


def test_waiting_requests(world: World) -> None:
    from ds01.gpus.rules.request import parse_request
    from gpu_world import me, user

    desk = world.allocator()
    desk.enqueue(user(1), parse_request("full:2"), "a", me())
    world.pass_time(minutes=10)
    desk.enqueue(user(2), parse_request("full:2"), "b", me())
    world.now += timedelta(minutes=1)
    _, text = write(world)
    assert values(text)["ds01_gpu_queue_requests"] == 2
    assert values(text)["ds01_gpu_queue_oldest_seconds"] == 660
