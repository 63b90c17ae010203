"""policy/limits.py, policy/file.py, policy/schema.py: reading the policy, effective limits."""

# One case a line reads better than a wrapped one.
# ruff: noqa: E501

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import BenchUser
from ds01.core.errors import Exit, HelperError
from ds01.core.yaml_source import ConfigError
from ds01.policy import limits as policy_limits
from ds01.policy import schema, sections
from ds01.policy import types as policy_types
from ds01.policy import users as policy_users
from ds01.policy.types import Aggregate, Entry, Group, Limits, Override, Policy, User

PROJECT_ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
HEAD = "version: 1\ndefault_group: student\ngroups: {student: {}}\n"

SERVER_TYPES = {
    "gpu_allocation": sections.Allocation,
    "images": sections.Images,
    "lifecycle": sections.Lifecycle,
}
ALL_KEYS = [
    *policy_types.LIMIT_KEYS.values(),
    *(key for keys in sections.SECTIONS.values() for key in keys),
]

Load = Callable[[str], Policy]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """A function that loads a policy from text."""

    def from_text(text: str) -> Policy:
        file = tmp_path / "resource limits.yaml"
        file.write_text(text, encoding="utf-8")
        return policy_limits.load_policy(file)

    return from_text


def problems(load: Load, text: str) -> list[str]:
    """Return the problems of a policy without the file's name."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.code == Exit.CONFIG
    return [
        re.sub(r"^.*resource limits\.yaml:", "", line) for line in caught.value.problems
    ]


def limits_of(loaded: Policy, name: str, *unix_groups: str) -> Limits:
    return policy_limits.effective_limits(
        loaded, User(name, 1000, unix_groups), NOW
    ).limits


# -- the file that is shipped, and the tables ------------------------------------------


def test_shipped_policy_is_sound_and_names_every_key() -> None:
    path = PROJECT_ROOT / "config/resource-limits.yaml"
    loaded = policy_limits.load_policy(path)
    assert set(loaded.defaults) == set(policy_types.LIMIT_KEYS)
    assert list(loaded.groups) == ["student", "researcher", "admin"]
    assert loaded.warnings == ()
    text = path.read_text(encoding="utf-8")
    for section, keys in sections.SECTIONS.items():
        for key in keys:
            assert f"\n  {key.name}: {key.default}\n" in text
            assert f"{section}.{key.name}" in loaded.server
    assert loaded.allocation == sections.Allocation()
    assert loaded.images == sections.Images()
    assert loaded.lifecycle == sections.Lifecycle()
    for name, entry in loaded.defaults.items():
        assert entry.value == schema.default_value(policy_types.LIMIT_KEYS[name]), name


def test_every_field_is_a_key() -> None:
    for type_ in (Limits, Aggregate, *SERVER_TYPES.values()):
        assert all(f.metadata or f.name == "aggregate" for f in fields(type_))


def test_server_sections_not_written_have_the_built_in_values(load: Load) -> None:
    loaded = load(HEAD)
    assert loaded.server == {}
    assert loaded.allocation == sections.Allocation()
    assert loaded.images == sections.Images()
    assert loaded.lifecycle == sections.Lifecycle()


def test_server_sections_are_typed(load: Load) -> None:
    loaded = load(
        HEAD
        + "gpu_allocation: {show_names: true, strategy: spread, exclude: [GPU-1]}\n"
        "images: {max_builds: null, build_timeout: 90m, min_free_disk: null, pins_max_age: 1d}\n"
        "lifecycle: {demand_factor: 1, demand_floor: 5m, created_timeout: null,\n"
        "  archive: /srv/old files/, removal_notice: 2h, record_keep: null, mail: true,\n"
        "  leftover_keep: 1h, idle_io_bytes_per_second: 5}\n"
    )
    assert loaded.allocation == sections.Allocation("spread", True, ("GPU-1",))
    assert loaded.images == sections.Images(None, 5400, None, 86400)
    assert loaded.lifecycle == sections.Lifecycle(
        demand_factor=1.0,
        demand_floor=300,
        created_timeout=None,
        archive=Path("/srv/old files"),
        removal_notice=7200,
        record_keep=None,
        leftover_keep=3600,
        mail=True,
        idle_io_bytes_per_second=5,
    )
    assert loaded.server["lifecycle.created_timeout"].text == "for ever"
    assert loaded.server["images.min_free_disk"].text == "not checked"
    assert loaded.server["images.max_builds"].place.endswith(":5")
    assert "lifecycle.warn_at" not in loaded.server


def test_values_have_the_declared_types(load: Load) -> None:
    limits = limits_of(load(HEAD), "alice")
    assert isinstance(limits.max_gpus, float)
    assert isinstance(limits.max_cpus, float)
    assert isinstance(limits.memory, int)
    assert limits.memory == 32 << 30
    assert limits.idle_timeout == 48 * 3600
    assert limits.allow_full_gpu is False
    assert limits.container_hold_after_stop is None
    assert limits.aggregate == Aggregate(None, None, None)


def test_documentation_lists_every_key() -> None:
    text = (PROJECT_ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z_.]+)` \|", text, re.MULTILINE))
    known = {key.name for key in ALL_KEYS}
    for table in (
        schema.TOP_KEYS,
        schema.GROUP_KEYS,
        schema.OVERRIDE_KEYS,
        schema.RESERVATION_KEYS,
        schema.EXEMPTION_KEYS,
    ):
        known |= set(table)
    assert known <= listed
    for key in ALL_KEYS:
        row = re.search(rf"^\| `{re.escape(key.name)}` \|.*$", text, re.MULTILINE)
        assert row, key.name
        assert f"| `{key.default}` |" in row[0], key.name
        null = key.null_means if key.nullable else "refused"
        assert f"| {null} |" in row[0], key.name
        assert key.meaning in row[0], key.name


# -- null, missing, empty --------------------------------------------------------------


def test_null_is_unlimited_and_missing_is_inherited(load: Load) -> None:
    loaded = load(
        "version: 1\ndefault_group: a\n"
        "defaults: {max_cpus: 8, memory: null, memory_swap: null}\n"
        "groups:\n  a: {max_cpus: ~}\n  b: {members: [bob]}\n"
    )
    assert limits_of(loaded, "alice").max_cpus is None
    assert limits_of(loaded, "bob").max_cpus == 8
    assert limits_of(loaded, "bob").memory is None


def test_empty_sections_are_empty(load: Load) -> None:
    loaded = load(
        "version: 1\ndefault_group: a\ndefaults:\n  # nothing\n"
        "groups:\n  a:\n    members:\n    unix_groups:\n    aggregate:\n"
        "user_overrides:\nreservations:\nexemptions:\ngpu_allocation:\nimages:\nlifecycle:\n"
    )
    assert loaded.defaults == {}
    assert loaded.overrides == {}
    assert loaded.groups["a"] == Group("a")
    assert loaded.lifecycle.warn_at == (80, 95)


def test_key_without_value_is_not_unlimited(load: Load) -> None:
    assert problems(load, HEAD + "defaults:\n  memory:\n") == [
        "5: defaults.memory: has no value, write null for unlimited"
    ]


def test_quoted_null_is_not_null(load: Load) -> None:
    assert problems(load, HEAD + 'defaults: {memory: "null"}\n')
    assert problems(load, HEAD + 'defaults: {max_cpus: "null"}\n')


def test_null_section_is_refused(load: Load) -> None:
    assert problems(load, HEAD + "defaults: null\n") == [
        "4: defaults: must be a section of keys, {} if empty"
    ]
    assert "aggregate" in problems(load, HEAD + "defaults: {aggregate: null}\n")[0]


# -- errors name file, line and key path -----------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("defaults:\n  idle_timeout: 48\n", "5: defaults.idle_timeout: '48' has no unit, write 48h"),
        ("defaults: {memory: 32}\n", "4: defaults.memory: '32' has no unit, write 32g"),
        ("defaults: {memroy: 32g}\n", "4: defaults.memroy: unknown key, did you mean 'memory'"),
        ("defualts: {}\n", "4: defualts: unknown key, did you mean 'defaults'"),
        ("zzzz: {}\n", "4: zzzz: unknown key"),
        ("defaults: {priority: null}\n", "4: defaults.priority: cannot be null (unlimited)"),
        ("defaults: {priority: 101}\n", "4: defaults.priority: '101' is more than 100"),
        ("defaults: {priority: -1}\n", "4: defaults.priority: '-1' is not a whole number"),
        ("defaults: {max_cpus: 0}\n", "4: defaults.max_cpus: '0' is less than 0.01"),
        ("defaults: {max_cpus: .inf}\n", "4: defaults.max_cpus: '.inf' is not a number"),
        ("defaults: {memory: 1m}\n", "4: defaults.memory: '1m' is less than 6m"),
        ("defaults: {idle_timeout: 0s}\n", "4: defaults.idle_timeout: '0s' is less than 10s"),
        ("defaults: {max_gpus: '2'}\n", "4: defaults.max_gpus: must be written without quotes"),
        ("defaults: {allow_full_gpu: yes}\n", "4: defaults.allow_full_gpu: 'yes' is neither true nor false"),
        ("defaults: {network: none}\n", "4: defaults.network: 'none' is none of host, bridge"),
        ("defaults: {memory: [1g]}\n", "4: defaults.memory: must be one value, not a list or a section"),
        ("defaults: [1]\n", "4: defaults: must be a section of keys (key: value)"),
        ("defaults: {aggregate: {cpu: 1}}\n", "4: defaults.aggregate.cpu: unknown key, did you mean 'cpus'"),
        ("defaults: {aggregate: {memory: 1}}\n", "4: defaults.aggregate.memory: '1' has no unit, write 1g"),
        ("defaults:\n  max_cpus: 1\n  max_cpus: 2\n", "6: defaults.max_cpus: is already in line 5"),
        ("user_overrides: {al: {members: [x]}}\n", "4: user_overrides.al.members: unknown key"),
        ("user_overrides: {al: {expires: 1.2.2026}}\n", "4: user_overrides.al.expires: '1.2.2026' is not a time"),
        ("user_overrides: {al: {expires: null}}\n", "4: user_overrides.al.expires: cannot be null"),
        ("exemptions: [{user: a, from: [memory]}]\n", "4: exemptions[0].from: 'memory' cannot be lifted"),
        ("exemptions: [{from: []}]\n", "4: exemptions[0].user: missing"),
        ("gpu_allocation: {strategy: packed}\n", "4: gpu_allocation.strategy: 'packed' is none of pack, spread"),
        ("lifecycle: {warn_at: [95, 80]}\n", "4: lifecycle.warn_at: must rise, as in [80, 95]"),
        ("lifecycle: {warn_at: [0]}\n", "4: lifecycle.warn_at: '0' is less than 1"),
        ("lifecycle: {archive: old}\n", "4: lifecycle.archive: 'old' is not an absolute path"),
        ("lifecycle: {archive: /srv/../etc}\n", "4: lifecycle.archive: '/srv/../etc' is not an absolute path"),
        ("lifecycle: {archive: }\n", "4: lifecycle.archive: has no value, write null for none"),
        ("lifecycle: {demand_factor: 0}\n", "4: lifecycle.demand_factor: '0' is less than 0.01"),
        ("lifecycle: {demand_factor: 1.5}\n", "4: lifecycle.demand_factor: '1.5' is more than 1"),
        ("lifecycle: {mail: yes}\n", "4: lifecycle.mail: 'yes' is neither true nor false"),
        ("lifecycle: {removal_notice: null}\n", "4: lifecycle.removal_notice: cannot be null"),
        ("images: {max_builds: 0}\n", "4: images.max_builds: '0' is less than 1"),
        ("images: {min_free_disk: 20}\n", "4: images.min_free_disk: '20' has no unit, write 20g"),
        ("images: {build_timout: 2h}\n", "4: images.build_timout: unknown key, did you mean 'build_timeout'"),
        ("gpu_allocation: {show_names: null}\n", "4: gpu_allocation.show_names: cannot be null"),
        ("gpu_allocation: {strategy: tight}\n", "4: gpu_allocation.strategy: 'tight' is none of pack, spread"),
        ("lifecycle: {stop_grace: 60}\n", "4: lifecycle.stop_grace: '60' has no unit"),
        ("defaults: {memory: 32g, memory_swap: 16g}\n", "4: defaults.memory_swap: '16g' is less than memory '32g'"),
        ("defaults: {memory: null, memory_swap: 16g}\n", "4: defaults.memory_swap: '16g' is less than memory 'unlimited'"),
        ("? [a]\n: 1\n", "4: a key must be a plain word"),
    ],
)  # fmt: skip
def test_problem_names_line_and_key_path(load: Load, text: str, said: str) -> None:
    found = problems(load, HEAD + text)
    assert len(found) == 1
    assert found[0].startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: version: missing, the file is empty"),
        ("# only comments\n", "1: version: missing, the file is empty"),
        ("default_group: null\n", "1: version: missing, write version: 1"),
        ("version: 2\n", "1: version: must be 1"),
        ("version: [1]\n", "1: version: must be 1"),
        ("- a\n", "1: must be a section of keys"),
        ("version: 1\nb: [\n", "3: not valid YAML"),
        ("version: 1\n\tx: 1\n", "2: not valid YAML"),
        ("version: 1\n---\nversion: 1\n", "2: not valid YAML"),
        ("version: *none\n", "1: not valid YAML"),
        ("version: 1\ndefault_group: studnet\ngroups: {student: {}}\n",
         "2: default_group: group 'studnet' does not exist, did you mean 'student'"),
    ],
)  # fmt: skip
def test_broken_files(load: Load, text: str, said: str) -> None:
    assert problems(load, text)[0].startswith(said)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{name: e, groups: [student], gpus: 2, start: 2026-12-10T08:00, end: 2026-12-11}", "start: '2026-12-10T08:00' is not a time in UTC"),
        ("{name: e, groups: [student], gpus: 2, start: 2026-12-11, end: 2026-12-10}", "end: is not after start"),
        ("{name: e, groups: [nobody], gpus: 2, start: 2026-12-10, end: 2026-12-11}", "groups: group 'nobody' does not exist"),
        ("{name: e, gpus: 2, start: 2026-12-10, end: 2026-12-11}", " names neither groups nor users"),
        ("{name: e, users: [x], gpus: 0, start: 2026-12-10, end: 2026-12-11}", "gpus: '0' is less than 0.01"),
        ("{name: e, users: [x], gpus: 1, start: 2026-12-10}", "end: missing"),
    ],
)  # fmt: skip
def test_reservation_problems(load: Load, line: str, said: str) -> None:
    found = problems(load, HEAD + f"reservations:\n  - {line}\n")
    assert len(found) == 1
    assert found[0].startswith("5: reservations[0]")
    assert said in found[0]


def test_all_problems_are_told_in_the_order_of_lines(load: Load) -> None:
    text = HEAD + "lifecycle: {x: 1}\ndefaults:\n  memory: 1\n  y: 2\n"
    found = problems(load, text)
    assert [line.partition(":")[0] for line in found] == ["4", "6", "7"]
    with pytest.raises(HelperError, match=r"lifecycle\.x.* \(and 2 more\)$"):
        load(text)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(HelperError, match="does not exist") as caught:
        policy_limits.load_policy(tmp_path / "none.yaml")
    assert caught.value.code == Exit.CONFIG
    with pytest.raises(HelperError, match="is a directory"):
        policy_limits.load_policy(tmp_path)
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"version: 1\n# caf\xe9\n")
    with pytest.raises(HelperError, match=r":2: not valid UTF-8"):
        policy_limits.load_policy(file)
    file.write_bytes(b"version: 1\n# \x00\n")
    with pytest.raises(HelperError, match="not valid YAML"):
        policy_limits.load_policy(file)


def test_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    file = tmp_path / "bom.yaml"
    file.write_bytes(b"\xef\xbb\xbfversion: 1\r\ndefaults: {memory: 1g}\r\n")
    assert policy_limits.load_policy(file).defaults["memory"].value == 1 << 30


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_read_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, text: str | bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    file.write_bytes(b"version: 1\ndefaults: {memory: 1g}\n" + data)
    try:
        policy_limits.load_policy(file)
    except HelperError as error:
        assert error.code == Exit.CONFIG
        assert error.message.startswith(str(file)), error.message


# -- YAML's own ways -------------------------------------------------------------------


def test_anchors_and_merges(load: Load) -> None:
    loaded = load(
        "version: 1\ndefault_group: b\n"
        "groups:\n"
        "  a: &a {members: [x], max_cpus: 4, memory: 8g}\n"
        "  b: {<<: *a, members: [y], max_cpus: 2}\n"
        "  c: {<<: [*a, {priority: 7}]}\n"
    )
    assert loaded.groups["b"].members == ("y",)
    assert limits_of(loaded, "y").max_cpus == 2
    assert limits_of(loaded, "y").memory == 8 << 30
    assert loaded.groups["c"].limits["priority"].value == 7


def test_endless_and_explosive_merges_end(load: Load) -> None:
    assert problems(load, "version: 1\ndefaults: &a {<<: *a}\n")
    bomb = "version: 1\ngroups:\n  g0: &g0 {max_cpus: 1}\n"
    for level in range(1, 12):
        parts = ", ".join([f"*g{level - 1}"] * 9)
        bomb += f"  g{level}: &g{level} {{<<: [{parts}]}}\n"
    assert "too many merges" in " ".join(problems(load, bomb))


@pytest.mark.parametrize("text", ["x: " + "[" * 200_000, "x:\n" + "- " * 5000 + "a"])
def test_deep_nesting_is_refused(load: Load, text: str) -> None:
    assert problems(load, "version: 1\n" + text) == ["1: nested too deeply"]


def test_names_are_taken_as_written(load: Load) -> None:
    loaded = load(
        "version: 1\n"
        "groups:\n  no: {members: [yes, 007, 1.20, 2026-01-02, a.b@c.example, null_]}\n"
        "user_overrides: {10001: {max_cpus: 1}, on: {max_cpus: 2}}\n"
    )
    members = ("yes", "007", "1.20", "2026-01-02", "a.b@c.example", "null_")
    assert loaded.groups["no"].members == members
    assert set(loaded.overrides) == {"10001", "on"}


def test_null_is_no_name(load: Load) -> None:
    found = problems(load, "version: 1\ngroups: {a: {members: [null]}}\n")
    assert found == ["2: groups.a.members: must be a text"]


# -- groups ----------------------------------------------------------------------------

GROUPS = (
    "version: 1\ndefault_group: last\n"
    "groups:\n"
    "  first: {members: [ann], unix_groups: [staff], priority: 1}\n"
    "  second: {members: [ann, bob], unix_groups: [staff, phd], priority: 2}\n"
    "  last: {priority: 3}\n"
)


@pytest.mark.parametrize(
    ("user", "group", "origin"),
    [
        (User("ann", 1, ("phd",)), "first", "member"),
        (User("bob", 2, ("staff",)), "second", "member"),
        (User("eve", 3, ("phd", "staff")), "first", "unix group staff"),
        (User("dan", 4, ("phd",)), "second", "unix group phd"),
        (User("zoe", 5, ()), "last", "default"),
    ],
)
def test_group_of_a_user(load: Load, user: User, group: str, origin: str) -> None:
    found = policy_limits.effective_limits(load(GROUPS), user, NOW)
    assert (found.group, found.group_origin) == (group, origin)


def test_member_of_two_groups_is_warned_of(load: Load) -> None:
    (warning,) = load(GROUPS).warnings
    assert ":5: groups.second.members: 'ann' is a member of group 'first'" in warning


@pytest.mark.parametrize("head", ["", "default_group: null\n"])
def test_user_of_no_group_is_refused(load: Load, head: str) -> None:
    loaded = load(f"version: 1\n{head}groups: {{a: {{members: [ann]}}}}\n")
    with pytest.raises(HelperError) as caught:
        limits_of(loaded, "zoe")
    assert caught.value.code == Exit.REFUSED
    assert caught.value.hint
    assert limits_of(loaded, "ann")


# -- overrides and precedence ----------------------------------------------------------


def test_override_keeps_what_it_does_not_name(load: Load) -> None:
    loaded = load(
        "version: 1\ndefault_group: g\ndefaults: {max_cpus: 1, aggregate: {cpus: 9, pids: 9}}\n"
        "groups: {g: {memory: 64g, priority: 50, aggregate: {pids: 8}}}\n"
        "user_overrides: {carol: {max_gpus: 2, aggregate: {memory: 1t}, reason: deadline}}\n"
    )
    found = policy_limits.effective_limits(loaded, User("carol", 1), NOW)
    assert found.limits.memory == 64 << 30
    assert found.limits.max_gpus == 2
    assert found.limits.aggregate == Aggregate(9.0, 1 << 40, 8)
    assert found.origins["aggregate.cpus"] == "defaults"
    assert found.origins["aggregate.pids"] == "group g"
    assert found.origins["aggregate.memory"] == "override carol"
    assert found.origins["pids_limit"] == "built-in"
    assert found.places["max_gpus"].endswith(":5")
    assert "pids_limit" not in found.places
    assert found.override is not None
    assert found.override.reason == "deadline"


def test_override_ends(load: Load) -> None:
    text = HEAD + "user_overrides: {carol: {max_gpus: 2, expires: 2026-12-01}}\n"
    loaded, carol = load(text), User("carol", 1)
    before = policy_limits.effective_limits(loaded, carol, NOW)
    assert before.limits.max_gpus == 2
    assert before.origins["max_gpus"] == "override carol until 2026-12-01"
    end = datetime(2026, 12, 1, tzinfo=timezone.utc)
    after = policy_limits.effective_limits(loaded, carol, end)
    assert after.limits.max_gpus == 1
    assert after.override is None
    assert after.notes == ("override carol expired 2026-12-01, ignored",)


@pytest.mark.parametrize(
    ("group", "override", "memory", "swap", "origin"),
    [
        ("{memory: 64g}", "{}", 64, 64, "follows memory (group g)"),
        ("{memory: 64g}", "{memory: 128g}", 128, 128, "follows memory (override u)"),
        ("{memory: null}", "{}", None, None, "follows memory (group g)"),
        ("{memory: 8g}", "{}", 8, 32, "built-in"),
        ("{memory: 64g, memory_swap: 96g}", "{}", 64, 96, "group g"),
        ("{memory_swap: null}", "{}", 32, None, "group g"),
    ],
)
def test_memory_swap_is_never_below_memory(
    load: Load,
    *,
    group: str,
    override: str,
    memory: int | None,
    swap: int | None,
    origin: str,
) -> None:
    loaded = load(
        f"version: 1\ndefault_group: g\ngroups: {{g: {group}}}\n"
        f"user_overrides: {{u: {override}}}\n"
    )
    found = policy_limits.effective_limits(loaded, User("u", 1), NOW)
    assert found.limits.memory == (memory and memory << 30)
    assert found.limits.memory_swap == (swap and swap << 30)
    assert found.origins["memory_swap"] == origin


def test_lower_memory_swap_lowers_memory(load: Load) -> None:
    text = HEAD + "user_overrides: {u: {memory_swap: 16g}}\n"
    found = policy_limits.effective_limits(load(text), User("u", 1), NOW)
    assert found.limits.memory == found.limits.memory_swap == 16 << 30
    assert found.origins["memory"] == "follows memory_swap (override u)"
    assert found.texts["memory"] == "16g"


def _entries(values: dict[str, float | None]) -> dict[str, Entry]:
    return {
        name: Entry(value, "unlimited" if value is None else str(value), f"f:{number}")
        for number, (name, value) in enumerate(values.items())
    }


_FREE_KEYS = [
    name
    for name, key in policy_types.LIMIT_KEYS.items()
    if key.kind in {"whole", "number", "duration"} and key.nullable
]
_LAYER = st.dictionaries(
    st.sampled_from(_FREE_KEYS), st.none() | st.integers(1, 10**6), max_size=12
)


@given(_LAYER, _LAYER, _LAYER, st.booleans())
def test_precedence_holds_key_by_key(
    defaults: dict[str, float | None],
    group: dict[str, float | None],
    override: dict[str, float | None],
    expired: bool,
) -> None:
    loaded = Policy(
        Path("f"),
        "g",
        _entries(defaults),
        {"g": Group("g", limits=_entries(group))},
        {"u": Override("u", _entries(override), expires=NOW if expired else None)},
        (),
        (),
        sections.Allocation(),
        sections.Lifecycle(),
    )
    found = policy_limits.effective_limits(loaded, User("u", 1), NOW)
    flat = policy_limits.limits_dict(found.limits)
    nested = flat.pop("aggregate")
    assert isinstance(nested, dict)
    flat |= {f"aggregate.{name}": value for name, value in nested.items()}
    layers = [("defaults", defaults), ("group g", group)]
    if not expired:
        layers.append(("override u", override))
    for name in policy_types.LIMIT_KEYS:
        expected = schema.default_value(policy_types.LIMIT_KEYS[name])
        origin = "built-in"
        for layer, values in layers:
            if name in values:
                expected, origin = values[name], layer
        assert flat[name] == expected
        assert found.origins[name].removesuffix(" until 2026-11-24") == origin
        assert (found.texts[name] == "unlimited") == (expected is None)


# -- users -----------------------------------------------------------------------------


def test_identify_user_by_name_and_uid() -> None:
    by_name, by_uid = policy_users.identify_user("root"), policy_users.identify_user(0)
    assert by_name == by_uid == policy_users.identify_user("0")
    assert by_name.uid == 0
    assert "root" in by_name.unix_groups


def test_uid_without_account_is_a_user_without_groups() -> None:
    assert policy_users.identify_user("2999999999") == User("2999999999", 2999999999)
    assert policy_users.identify_user(4000000001) == User("4000000001", 4000000001)


@pytest.mark.parametrize(
    "who", ["nobody-here", "", "99999999999", "4294967295", "a\0b", -5]
)
def test_unknown_user_is_not_found(who: str | int) -> None:
    with pytest.raises(HelperError) as caught:
        policy_users.identify_user(who)
    assert caught.value.code == Exit.NOT_FOUND


def test_login_name_of_digits_wins_over_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    real = pwd.getpwnam
    row = pwd.struct_passwd(("90017", "x", 39105, 39105, "", "/", "/bin/sh"))

    def getpwnam(name: str) -> pwd.struct_passwd:
        return row if name == "90017" else real(name)

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    assert policy_users.identify_user("90017").uid == 39105
    # The uid of that number is somebody else, and must not pass for that account.
    assert policy_users.identify_user(90017) == User("uid:90017", 90017)


@pytest.mark.engine
def test_bench_users_are_identified(users: dict[str, BenchUser]) -> None:
    for user in users.values():
        assert policy_users.identify_user(user.name).uid == user.uid
        assert policy_users.identify_user(user.uid).name == user.name
