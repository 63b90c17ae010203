"""The rules for GPUs: what may be given, and every refusal with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.core.errors import Exit
from ds01.gpus.devices.types import FULL, Device, Inventory
from ds01.gpus.rules.allowed import Allowed, none_free
from ds01.gpus.rules.placement import choose
from ds01.gpus.rules.refusal import Refusal, exact
from ds01.gpus.rules.request import parse_request
from ds01.gpus.rules.reservations import ReservationView
from ds01.gpus.rules.rules import check
from gpu_hosts import MIXED, SEVEN, divided, holding, host, limits, whole

ONES = divided("GPU-B", *SEVEN)
MIXES = divided("GPU-C", *MIXED)
# Two whole GPUs, one of seven 1g's, one of 3g + 2g + 1g.
HOST = host(whole("GPU-A0"), whole("GPU-A1"), ONES, MIXES)
WHOLE_ONLY = host(*(whole(f"GPU-{n}") for n in range(4)))
NOON = datetime(2026, 12, 10, 12, tzinfo=timezone.utc)
LATER = datetime(2026, 12, 10, 18, tzinfo=timezone.utc)

# What a student has, as config/resource-limits.yaml is shipped.
STUDENT: dict[str, Any] = {
    "max_gpus": 1.0,
    "max_mig_instances": 2,
    "max_gpus_per_container": 1,
    "allow_full_gpu": False,
    "max_containers_per_user": 3,
}


def ask(
    text: str, inventory: Inventory = HOST, held: Sequence[Any] = (), **changes: Any
) -> Allowed:
    named = {
        key: changes.pop(key)
        for key in ("containers", "exclude", "free", "reserved")
        if key in changes
    }
    return check(parse_request(text), limits(**changes), held, inventory, **named)


def refusal(text: str, *words: Any, **changes: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        ask(text, *words, **changes)
    found = caught.value
    assert found.rule
    assert found.hint
    assert (
        found.message[0].islower()
        or found.message[0].isdigit()
        or "GPU" in (found.message[:4])
    )
    return found


def numbers(found: Refusal) -> tuple[float | None, float | None, float | None]:
    return found.have, found.asked, found.limit


def kinds(allowed: Allowed) -> list[str]:
    return [d.profile for d in allowed.groups[0]]


def test_the_smallest_kind_that_the_user_may_have() -> None:
    assert set(kinds(ask("default", **STUDENT))) == {"1g.10gb"}
    assert len(ask("default", **STUDENT).useful) == 8
    assert set(kinds(ask("1"))) == {"1g.10gb"}
    assert set(kinds(ask("1", max_mig_instances=0))) == {FULL}
    assert set(kinds(ask("1", host(MIXES[:-1], whole("GPU-A"))))) == {"2g.20gb"}
    assert set(kinds(ask("1", WHOLE_ONLY, **STUDENT))) == {FULL}
    assert ask("2", WHOLE_ONLY).count == 2


def test_of_equal_shares_the_one_with_less_memory_is_smaller() -> None:
    gpu = divided("GPU-D", ("1g.20gb", 0), ("1g.10gb", 2))
    assert kinds(ask("default", host(gpu))) == ["1g.10gb"]


def test_what_is_used_up_does_not_make_the_kind_larger() -> None:
    found = refusal("1", HOST, [holding(*ONES[1:3])], **{**STUDENT, "max_gpus": 9.0})
    assert found.machine == "quota-mig-instances"


def test_named_kinds() -> None:
    assert kinds(ask("full")) == [FULL, FULL]
    assert kinds(ask("3g.40gb")) == ["3g.40gb"]
    found = ask("1g.10gb:3")
    assert found.count == 3
    assert len(found.useful) == 8
    assert ask("none").count == 0


def test_by_memory_the_smallest_that_has_it_comes_first() -> None:
    groups = [{d.profile for d in group} for group in ask("mem=10g").groups]
    assert groups == [{"1g.10gb"}, {"2g.20gb"}, {"3g.40gb"}, {FULL}]
    groups = [{d.profile for d in g} for g in ask("mem=10g", **STUDENT).groups]
    assert groups == [{"1g.10gb"}, {"2g.20gb"}, {"3g.40gb"}]
    assert set(kinds(ask("mem=21g"))) == {"3g.40gb"}
    # 9728 MiB are 10 GB and a little, and less than 10 GiB.
    assert set(kinds(ask("mem=10gib"))) == {"2g.20gb"}


def test_a_profile_has_what_its_name_says() -> None:
    small = replace(ONES[1], profile="1g.18gb", memory=16896 << 20)
    assert kinds(ask("mem=18g", host(ONES[0], small))) == ["1g.18gb"]


def test_by_memory_of_whole_gpus_the_smaller_come_first() -> None:
    mixed = host(whole("GPU-a"), whole("GPU-z", memory=40 << 30))
    groups = [[d.uuid for d in group] for group in ask("mem=30g", mixed).groups]
    assert groups == [["GPU-z"], ["GPU-a", "GPU-z"]]
    assert kinds(ask("mem=60g", mixed)) == [FULL]
    assert ask("mem=30g:2", mixed).count == 2


def test_without_a_gpu_a_container_runs_without() -> None:
    for text in ("default", "2", "full", "1g.10gb", "mem=1g"):
        found = ask(text, Inventory())
        assert found.count == 0
        assert "no GPU" in found.note
    assert ask("none", Inventory()) == Allowed(0)


@pytest.mark.parametrize(
    "rule",
    [
        {"max_gpus": 0.0},
        {"max_gpus_per_container": 0},
        {"max_gpus": 0.1},
        {"max_mig_instances": 0, "allow_full_gpu": False},
    ],
)
def test_who_may_have_none_gets_none_by_default(rule: dict[str, Any]) -> None:
    found = ask("default", **rule)
    assert found.count == 0
    assert "your limits" in found.note
    assert refusal("1", **rule).code == Exit.REFUSED
    assert refusal("1g.10gb", **rule).hint == "use '--gpus none'"


def test_a_cpu_only_user_does_not_need_the_driver() -> None:
    down = Inventory(error="driver/library version mismatch")
    assert ask("default", down, max_gpus=0.0).count == 0
    assert ask("none", down).count == 0


def test_nvml_down() -> None:
    for text in ("default", "1", "full", "device=GPU-1"):
        found = refusal(text, Inventory(error="version mismatch"))
        assert (found.machine, found.code) == ("nvml-down", Exit.PREREQUISITE)
        assert "version mismatch" in found.message
        assert not found.waits


def test_quota_of_gpus_counts_every_container() -> None:
    held = [
        holding(ONES[1], state="reserved", name="a"),
        holding(ONES[2], name="b"),
        holding(MIXES[1], name="c", state="held"),
    ]
    found = refusal("3g.40gb", HOST, held, max_gpus=1.0)
    assert (found.machine, found.rule) == ("quota-gpus", "max_gpus")
    assert numbers(found) == pytest.approx((5 / 7, 3 / 7, 1.0))
    assert found.code == Exit.REFUSED
    assert found.message == (
        "you have 0.71 GPUs and ask for 0.43 more ('3g.40gb'), and 1 is allowed"
    )
    assert found.hint == "use '--gpus 2g.20gb'"
    assert ask("2g.20gb", HOST, held, max_gpus=1.0).count == 1


def test_quota_of_gpus_names_a_stopped_container_to_remove() -> None:
    gpus = WHOLE_ONLY.devices
    held = [holding(gpus[0], name="a"), holding(gpus[1], name="b", state="held")]
    found = refusal("1", WHOLE_ONLY, held, max_gpus=2.0)
    assert numbers(found) == (2.0, 1.0, 2.0)
    assert found.hint == "run 'container-remove b' to make room"


def test_quota_of_gpus_for_many_hints_at_fewer() -> None:
    assert refusal("full:2", max_gpus=1.0).hint == "use '--gpus full'"
    assert refusal("3", WHOLE_ONLY, max_gpus=2.0).hint == "use '--gpus 2'"
    assert refusal("1g.10gb:5", max_gpus=0.5).hint == "use '--gpus 1g.10gb:3'"


@pytest.mark.parametrize("limit", [1.0, 0.142857143 * 7, 0.999999999])
def test_seven_sevenths_are_one(limit: float) -> None:
    held = [holding(device, name=f"c{n}") for n, device in enumerate(ONES[1:7])]
    assert sum(d.share for h in held for d in h.devices) + 1 / 7 != 1.0
    if limit == 0.999999999:
        limit = 6.999 / 7
        assert refusal("1g.10gb", HOST, held, max_gpus=limit).machine == "quota-gpus"
    else:
        assert ask("1g.10gb", HOST, held, max_gpus=limit).count == 1
    again = [*held, holding(ONES[7], name="c7")]
    assert refusal("1g.10gb", HOST, again, max_gpus=1.0).have == 1.0


def test_a_limit_written_as_a_decimal_allows_its_slice() -> None:
    assert ask("1g.10gb", max_gpus=0.142857143).count == 1
    assert ask("3g.40gb", max_gpus=0.43).count == 1
    assert refusal("1g.10gb", max_gpus=0.14).limit == 0.14


def test_quota_of_mig_instances() -> None:
    held = [holding(ONES[1], name="a", state="held"), holding(ONES[2], name="b")]
    found = refusal("1g.10gb", HOST, held, max_mig_instances=2)
    assert (found.machine, found.rule) == ("quota-mig-instances", "max_mig_instances")
    assert numbers(found) == (2, 1, 2)
    assert found.hint == "run 'container-remove a' to make room"
    found = refusal("1g.10gb:3", max_mig_instances=2)
    assert numbers(found) == (0, 3, 2)
    assert found.hint == "use '--gpus 1g.10gb:2'"
    assert ask("full", HOST, held, max_mig_instances=2).count == 1


def test_quota_per_container() -> None:
    found = refusal("full:3", max_gpus_per_container=2)
    assert found.machine == "quota-per-container"
    assert found.rule == "max_gpus_per_container"
    assert numbers(found) == (0, 3, 2)
    assert found.hint == "use '--gpus full:2'"
    assert refusal("1g.10gb:2", **STUDENT).hint == "use '--gpus 1g.10gb'"
    assert refusal("2", **STUDENT).hint == "use '--gpus 1'"
    # A stopped container is another one: its devices do not count here.
    assert ask("full", HOST, [holding(HOST.devices[0])], max_gpus_per_container=1)


def test_quota_of_containers() -> None:
    found = refusal("none", containers=3, **STUDENT)
    assert (found.machine, found.rule) == (
        "quota-containers",
        "max_containers_per_user",
    )
    assert numbers(found) == (3, 1, 3)
    assert found.code == Exit.REFUSED
    assert found.message == "you have 3 containers, and 3 are allowed"
    found = refusal("none", containers=1, max_containers_per_user=1)
    assert found.message == "you have 1 container, and 1 is allowed"
    assert ask("none", containers=2, **STUDENT).count == 0
    assert ask("none", containers=99).count == 0
    assert ask("none", max_containers_per_user=0).count == 0


def test_whole_gpus_where_mig_exists() -> None:
    for text in ("full", "mem=60g", "device=GPU-A0"):
        found = refusal(text, **STUDENT)
        assert found.machine == "full-gpu-not-allowed"
        assert (found.rule, found.limit) == ("allow_full_gpu", 0)
        assert found.hint == "use '--gpus 3g.40gb'"
    # A sick instance is an instance all the same.
    sick = host(whole("GPU-A"), divided("GPU-B", *SEVEN, sick="lost"))
    assert refusal("full", sick, **STUDENT).hint == "use '--gpus none'"
    # None are left, or the GPU is only in MIG mode: whole GPUs are the smallest kind.
    assert ask("full", host(whole("GPU-A"), divided("GPU-B")), **STUDENT).count == 1


def test_several_mig_instances_only_by_name() -> None:
    found = refusal("2")
    assert (found.machine, found.rule) == ("mig-unnamed", "one-kind-per-container")
    assert numbers(found) == (0, 2, 1)
    assert found.hint == "use '--gpus 1g.10gb:2'"
    assert refusal("2", max_mig_instances=1).hint == "use '--gpus full:2'"
    assert refusal("2", max_mig_instances=1, max_gpus=1.0).hint == "use '--gpus 1'"
    assert refusal("mem=10g:2").machine == "mig-unnamed"


def test_never_a_mix() -> None:
    for text in (
        "device=GPU-A0;MIG-GPU-B-0",
        "device=MIG-GPU-B-0;MIG-GPU-C-0",
    ):
        found = refusal(text)
        assert (found.machine, numbers(found)) == ("mig-mixed", (2, 2, 1))
    assert ask("device=MIG-GPU-B-0;MIG-GPU-B-1").count == 2


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1g.5gb", "use '--gpus 1g.10gb' (2 of 8 free)"),
        ("3g.20gb", "use '--gpus 3g.40gb' (0 of 1 free)"),
        ("7g.80gb", "use '--gpus 1g.10gb' (2 of 8 free)"),
    ],
)
def test_unknown_profile(text: str, hint: str) -> None:
    free = {"MIG-GPU-B-0", "MIG-GPU-C-6"}
    found = refusal(text, free=free)
    assert (found.machine, found.code) == ("unknown-profile", Exit.REFUSED)
    assert numbers(found) == (0, 1, 0)
    if text != "3g.20gb":
        assert found.hint == hint
    assert f"'{text}'" in found.message
    assert refusal("1g.5gb").hint == "use '--gpus 1g.10gb'"
    assert refusal("full", host(ONES)).machine == "unknown-profile"


def test_too_many() -> None:
    found = refusal("full:3")
    assert (found.machine, numbers(found)) == ("too-few-devices", (0, 3, 2))
    assert found.hint == "use '--gpus full:2'"
    assert refusal("5", WHOLE_ONLY).hint == "use '--gpus 4'"
    assert refusal("mem=30g:5", WHOLE_ONLY).hint == "use '--gpus mem=30g:4'"


def test_too_much_memory() -> None:
    found = refusal("mem=100g")
    assert found.machine == "too-much-memory"
    assert numbers(found) == (0, 100 * 10**9, 80 << 30)
    assert found.hint == "use '--gpu-mem 85g' or less"


def test_devices_by_uuid() -> None:
    found = ask("device=GPU-A1;GPU-A0")
    assert [d.uuid for d in found.groups[0]] == ["GPU-A1", "GPU-A0"]
    assert ask("device=mig-gpu-b-3").useful == {"MIG-GPU-B-3"}
    assert refusal("device=GPU-X").machine == "device-not-found"
    assert refusal("device=GPU-B").machine == "mig-parent"
    empty = host(whole("GPU-A"), divided("GPU-B"))
    assert refusal("device=GPU-B", empty).machine == "mig-empty"
    two = refusal("device=GPU-A0;GPU-A1", **{**STUDENT, "allow_full_gpu": True})
    assert two.machine == "quota-per-container"
    held = [holding(HOST.devices[0])]
    assert refusal("device=GPU-A1", HOST, held, max_gpus=1.0).machine == "quota-gpus"


def test_sick_devices_are_never_given() -> None:
    sick = host(whole("GPU-A", sick="fallen off the bus"), whole("GPU-B"))
    assert ask("1", sick).useful == {"GPU-B"}
    found = refusal("device=GPU-A", sick)
    assert (found.machine, found.code) == ("device-sick", Exit.NO_GPU)
    assert "fallen off the bus" in found.message
    all_sick = host(whole("GPU-A", sick="fallen off the bus"))
    for text in ("default", "1", "full", "mem=1g"):
        found = refusal(text, all_sick)
        assert (found.machine, found.code) == ("no-free-device", Exit.NO_GPU)
        assert "fallen off the bus" in found.message
        assert found.waits


def test_excluded_devices_are_never_given() -> None:
    assert ask("full", exclude=["gpu-a0"]).useful == {"GPU-A1"}
    assert "MIG-GPU-B-0" not in ask("1", exclude=["MIG-GPU-B-0"]).useful
    assert ask("1", exclude=["GPU-B"]).useful == {"MIG-GPU-C-6"}
    found = refusal("device=GPU-A0", exclude=["GPU-A0"])
    assert (found.machine, found.rule) == ("exclude", "gpu_allocation.exclude")
    assert refusal("device=MIG-GPU-B-0", exclude=["GPU-B"]).machine == "exclude"
    assert "administrator" in refusal("full", exclude=["GPU-A0", "GPU-A1"]).message


def test_a_gpu_in_mig_mode_is_none() -> None:
    empty = host(divided("GPU-A"))
    for text in ("default", "1"):
        found = refusal(text, empty)
        assert (found.machine, found.code) == ("no-free-device", Exit.NO_GPU)
        assert "MIG mode without instances" in found.message
    # NVML may be wrong about the mode of a GPU that has instances.
    odd = host(whole("GPU-B"), ONES[1:])
    assert "GPU-B" not in ask("1", odd).useful
    assert refusal("full", odd).machine == "unknown-profile"


def test_reserved_for_others() -> None:
    view = ReservationView(
        blocked={"GPU-A0": LATER, "GPU-A1": NOON},
        names={"GPU-A0": "exam", "GPU-A1": "exam"},
    )
    found = refusal("full", reserved=view)
    assert (found.machine, found.rule) == ("reservation", "reservations")
    assert (found.code, found.waits) == (Exit.REFUSED, True)
    assert numbers(found) == (0, 1, 2)
    assert "2026-12-10T12:00Z" in found.message
    assert "'exam'" in found.message
    assert found.hint == "use '--gpus 3g.40gb'"
    one = replace(view, blocked={"GPU-A0": LATER})
    assert ask("full", reserved=one).useful == {"GPU-A1"}
    assert refusal("device=GPU-A0", reserved=one).machine == "reservation"
    assert "2026-12-10T18:00Z" in refusal("full:2", reserved=view).message


def test_reserved_soon() -> None:
    view = ReservationView(until={"GPU-A0": NOON}, names={"GPU-A0": "exam"})
    found = ask("full", reserved=view)
    assert [[d.uuid for d in g] for g in found.groups] == [
        ["GPU-A1"],
        ["GPU-A0", "GPU-A1"],
    ]
    a0, a1 = found.groups[1]
    assert found.until_of([a1]) is None
    assert found.note_of([a1]) == ""
    assert found.until_of([a0, a1]) == NOON
    assert found.note_of([a0]) == (
        "reserved from 2026-12-10T12:00Z (reservation 'exam'): "
        "the GPU must be given back by then"
    )


def test_reserved_for_me() -> None:
    found = ask("full", reserved=ReservationView(mine=frozenset({"GPU-A1"})))
    assert [d.uuid for d in found.groups[0]] == ["GPU-A1"]
    assert len(found.groups[1]) == 2


def test_nothing_free() -> None:
    request = parse_request("1g.10gb:2")
    allowed = ask("1g.10gb:2")
    found = none_free(request, allowed, {"MIG-GPU-B-3", "GPU-A0"})
    assert (found.machine, found.code) == ("no-free-device", Exit.NO_GPU)
    assert numbers(found) == (1, 2, 8)
    assert found.useful == allowed.useful
    assert found.waits
    assert "--wait" in (found.hint or "")
    request = parse_request("device=GPU-A0")
    found = none_free(request, ask("device=GPU-A0"), set())
    assert (found.machine, found.code) == ("device-busy", Exit.NO_GPU)
    assert numbers(found) == (0, 1, 1)


LIMITS = st.builds(
    limits,
    max_gpus=st.none() | st.sampled_from([0.0, 0.142857143, 0.5, 1.0, 2.0]),
    max_mig_instances=st.none() | st.integers(0, 3),
    max_gpus_per_container=st.none() | st.integers(0, 3),
    allow_full_gpu=st.booleans(),
)
REQUESTS = st.sampled_from(
    [
        "default",
        "1",
        "2",
        "3",
        "full",
        "full:2",
        "1g.10gb",
        "1g.10gb:2",
        "3g.40gb",
        "7g.80gb",
        "mem=10g",
        "mem=30g",
        "mem=60g",
        "mem=30g:2",
        "device=GPU-A0",
        "device=MIG-GPU-B-0;MIG-GPU-B-1",
        "device=GPU-A0;MIG-GPU-B-0",
        "device=GPU-B",
        "none",
    ]
).map(parse_request)
REAL = [d for d in HOST.devices if not d.mig_mode]


@given(REQUESTS, LIMITS, st.lists(st.sampled_from(REAL), unique=True), st.data())
def test_what_is_given_keeps_every_limit(
    request: Any, rules: Any, devices: list[Device], data: st.DataObject
) -> None:
    held = [holding(device, name=f"c{n}") for n, device in enumerate(devices)]
    others = [d.uuid for d in REAL if d not in devices]
    free = data.draw(st.frozensets(st.sampled_from(others))) if others else frozenset()
    strategy = data.draw(st.sampled_from(["pack", "spread"]))
    try:
        allowed = check(request, rules, held, HOST, free=free)
    except Refusal as found:
        assert found.machine
        assert found.rule
        assert found.hint
        assert found.code in {Exit.REFUSED, Exit.NO_GPU}
        return
    chosen = choose(allowed, free, HOST, strategy)
    if chosen is None:
        assert none_free(request, allowed, free).code == Exit.NO_GPU
        return
    assert len(chosen) == allowed.count == len({d.uuid for d in chosen})
    assert {d.uuid for d in chosen} <= free & allowed.useful
    assert not any(d.mig_mode or d.sick for d in chosen)
    assert len({d.profile for d in chosen}) <= 1
    if not chosen:
        assert request.kind in {"none", "default"}
        return
    assert rules.max_gpus_per_container is None or (
        len(chosen) <= rules.max_gpus_per_container
    )
    assert rules.allow_full_gpu or all(d.is_mig for d in chosen)
    every = [*devices, *chosen]
    instances = sum(d.is_mig for d in every)
    assert (
        not chosen[0].is_mig
        or rules.max_mig_instances is None
        or (instances <= rules.max_mig_instances)
    )
    total = sum((Fraction(d.slices, d.total_slices) for d in every), Fraction(0))
    assert rules.max_gpus is None or total <= Fraction(rules.max_gpus) + Fraction(
        1, 10**6
    )
    if len(chosen) > 1 and chosen[0].is_mig:
        assert request.kind in {"profile", "device"}
    if request.kind == "memory":
        assert all(d.memory >= request.memory for d in chosen)


@given(st.integers(1, 8), st.integers(1, 8))
def test_shares_are_exact(slices: int, total: int) -> None:
    assert exact(slices / total) == Fraction(slices, total)


@given(REQUESTS, LIMITS)
def test_hints_of_rules_can_be_followed(request: Any, rules: Any) -> None:
    """What a refusal by a rule proposes is not refused by a rule itself."""
    try:
        check(request, rules, (), HOST)
    except Refusal as found:
        hint = found.hint or ""
        if hint.startswith("use '--gpus "):
            check(parse_request(hint.split("'")[1][7:]), rules, (), HOST)
