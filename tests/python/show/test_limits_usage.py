"""Use against limits, and its bars."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from ds01.containers.stats import Usage
from ds01.core.paths import PROJECT_ROOT
from ds01.gpus.ledger.document import Grant
from ds01.gpus.rules.refusal import GrantedDevice
from ds01.policy.limits import effective_limits, load_policy
from ds01.policy.types import Limits
from ds01.policy.users import identify_user
from ds01.show.limits_usage import BAR, Use, bar, text, uses

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def some_limits() -> Limits:
    loaded = load_policy(PROJECT_ROOT / "config/resource-limits.yaml")
    limits = effective_limits(loaded, identify_user(0), NOW).limits
    return replace(limits, max_gpus=1.0, max_containers_per_user=3, max_cpus=4.0)


def usage(name: str, percent: float | None, memory: int) -> Usage:
    return Usage(name, f"{name}._.0", "root", percent, memory, None, 5, "none", {})


def granted(uuid: str, share: float, *, is_mig: bool) -> GrantedDevice:
    return GrantedDevice(uuid, "GPU-1", "1g.5gb", 0, 1, share, is_mig)


def found(key: str, every: list[Use]) -> Use:
    return next(use for use in every if use.key == key)


def test_quotas_are_sums_and_limits_of_one_the_largest() -> None:
    grant = Grant(
        container="a._.0",
        uid=0,
        user="root",
        devices=(granted("M1", 1 / 7, is_mig=True), granted("M2", 1 / 7, is_mig=True)),
        request="1g.5gb:2",
        state="held",
        since=NOW,
    )
    every = uses(
        some_limits(), 2, [usage("a", 150.0, 100), usage("b", None, 300)], [grant]
    )
    assert found("max_containers_per_user", every).used == 2
    assert found("max_gpus", every).used == round(2 / 7, 4)
    assert found("max_mig_instances", every).used == 2
    assert found("max_gpus_per_container", every) == Use(
        "max_gpus_per_container", 2, some_limits().max_gpus_per_container, "a"
    )
    assert found("max_cpus", every) == Use("max_cpus", 1.5, 4.0, "a")
    assert found("memory", every).container == "b"


def test_nothing_used_is_zero() -> None:
    assert all(use.used == 0 for use in uses(some_limits(), 0, [], []))


def test_bars_are_full_only_at_the_limit() -> None:
    assert bar(0, 10) == "." * BAR
    assert bar(10, 10) == "#" * BAR
    assert bar(20, 10) == "#" * BAR
    assert bar(9.99, 10).count("#") == BAR - 1
    assert bar(0.001, 10).count("#") == 1
    assert bar(5, None) == "." * BAR


def test_lines_hold_both_numbers() -> None:
    assert text(Use("max_gpus", 0.4286, 1.0)).endswith("0.43 of 1")
    assert text(Use("memory", 1 << 30, None, "job")).endswith("1.0G of unlimited  job")
