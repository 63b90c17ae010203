"""How the engine's samples are read."""

from __future__ import annotations

from ds01.containers.stats import Usage, cpu_percent, memory_used, stats_rows


def sample(used: int, passed: int, cores: int | None = 4) -> dict[str, object]:
    now = {"cpu_usage": {"total_usage": 100 + used}, "system_cpu_usage": 1000 + passed}
    if cores is not None:
        now["online_cpus"] = cores
    before = {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000}
    return {"cpu_stats": now, "precpu_stats": before}


def test_cpu_is_percent_of_one_core() -> None:
    assert cpu_percent(sample(200, 800)) == 100.0
    assert cpu_percent(sample(0, 800)) == 0.0


def test_cpu_is_unknown_without_an_earlier_sample_or_time() -> None:
    assert cpu_percent(sample(5, 0)) is None
    assert cpu_percent({"cpu_stats": {}, "precpu_stats": {}}) is None
    assert cpu_percent({}) is None


def test_cores_are_counted_where_the_engine_does_not_say() -> None:
    old = sample(200, 800, cores=None)
    assert cpu_percent(old) == 25.0


def test_memory_is_without_the_cache_that_can_be_dropped() -> None:
    v1 = {"memory_stats": {"usage": 100, "stats": {"total_inactive_file": 30}}}
    v2 = {"memory_stats": {"usage": 100, "stats": {"inactive_file": 20}}}
    assert memory_used(v1) == 70
    assert memory_used(v2) == 80
    assert memory_used({"memory_stats": {"usage": 10}}) == 10
    assert memory_used({"memory_stats": {}}) is None


def test_rows_set_use_beside_its_limit() -> None:
    usage = Usage(
        name="a",
        container="a._.1",
        user="alice",
        cpu_percent=99.96,
        memory=1 << 30,
        memory_limit=2 << 30,
        pids=3,
        gpus="none",
        limits={"cpus": "2", "pids": "77"},
    )
    header, rows = stats_rows([usage], with_user=True)
    shown = dict(zip(header, rows[0], strict=True))
    assert shown["CPU%"] == "100.0"
    assert (shown["MEM"], shown["MEM-LIMIT"]) == ("1.0G", "2.0G")
    assert (shown["PIDS"], shown["PIDS-LIMIT"], shown["USER"]) == ("3", "77", "alice")
