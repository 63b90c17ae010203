"""gateway_policy: no spelling of a request gets a container past policy.

The properties are checked on what the engine would read, by a model of its decoder
that knows nothing of gateway_json: keys in any case, the last one wins, repeated
objects merge, and HostConfig's fields count at the top if HostConfig is missing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds01.core.labels import ASIDE
from ds01.core.paths import Paths
from ds01.gateway import confine, json_body
from ds01.gateway import rewrite as gateway_rewrite
from ds01.gateway.types import Caller, HostFacts, Note, RefusalError, Rewrite, Site
from ds01.gpus.ledger.device_request import NO_GPUS, Gpus
from ds01.records.containers import record_path

G = 1 << 30
NOW = datetime(2026, 11, 24, 8, 30, tzinfo=timezone.utc)
CALLER = Caller(1000, "alice")


@dataclass(frozen=True)
class SomeLimits:
    max_cpus: float | None = 16
    memory: int | None = 32 * G
    memory_swap: int | None = 32 * G
    shm_size: int | None = 16 * G
    pids_limit: int | None = 4096
    network: str = "host"


LIMITS = SomeLimits()
UNLIMITED = SomeLimits(None, None, None, None, None)
HOST = HostFacts(cpus=64, memory=256 * G)
SITE = Site()


def rewrite(
    request: dict[str, Any],
    limits: SomeLimits = LIMITS,
    host: HostFacts = HOST,
    site: Site = SITE,
    *,
    caller: Caller = CALLER,
    gpus: Gpus = NO_GPUS,
    name: str = "",
) -> Rewrite:
    create, unknown = gateway_rewrite.read_create(json.dumps(request).encode())
    return gateway_rewrite.rewrite_create(
        create,
        caller,
        limits,
        host,
        site,
        now=NOW,
        gpus=gpus,
        name=name,
        unknown=tuple(unknown),
    )


def config(request: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return the HostConfig that a container gets."""
    result: dict[str, Any] = rewrite(
        {"Image": "x", "HostConfig": request or {}}, **changes
    ).request["HostConfig"]
    return result


def notes_of(request: dict[str, Any], **changes: Any) -> dict[str, Note]:
    found = rewrite({"Image": "x", **request}, **changes).notes
    return {note.code: note for note in found}


def refusal(host_config: dict[str, Any], **changes: Any) -> RefusalError:
    with pytest.raises(RefusalError) as caught:
        config(host_config, **changes)
    return caught.value


# Limits ------------------------------------------------------------------------------


def test_a_plain_request_gets_every_limit() -> None:
    found = config()
    assert found["NanoCpus"] == 16 * 10**9
    assert found["Memory"] == found["MemorySwap"] == 32 * G
    assert found["ShmSize"] == 16 * G
    assert found["PidsLimit"] == 4096
    assert found["IpcMode"] == "private"
    assert found["Init"] is True
    assert found["RestartPolicy"]["Name"] == "no"
    assert found["LogConfig"] == {
        "Type": "json-file",
        "Config": {"max-size": "50m", "max-file": "3"},
    }
    assert found["Ulimits"] == [
        {"Name": "memlock", "Soft": -1, "Hard": -1},
        {"Name": "stack", "Soft": 64 << 20, "Hard": 64 << 20},
    ]


def test_smaller_wishes_are_kept() -> None:
    wish = {"NanoCpus": 10**9, "Memory": G, "ShmSize": 1 << 20, "PidsLimit": 10}
    found = config(wish)
    assert {key: found[key] for key in wish} == wish
    assert found["MemorySwap"] == G
    assert notes_of({"HostConfig": wish}).keys() == {"cgroup"}


def test_larger_wishes_are_lowered_with_a_note() -> None:
    wish = {"NanoCpus": 10**12, "Memory": 1 << 50, "ShmSize": 1 << 50, "PidsLimit": -1}
    found = config({**wish, "PidsLimit": 10**6})
    assert found["NanoCpus"] == 16 * 10**9
    assert found["Memory"] == 32 * G
    notes = notes_of({"HostConfig": {**wish, "PidsLimit": 10**6}})
    assert {"cpus", "memory", "shm", "pids"} <= notes.keys()
    assert notes["memory"].text == "memory is limited to 32g, not the 1024t asked for"
    assert config(wish)["PidsLimit"] == 4096


def test_quota_and_period_are_cpus() -> None:
    assert config({"CpuQuota": 150_000})["NanoCpus"] == 1_500_000_000
    found = config({"CpuQuota": 10**9, "CpuPeriod": 1000})
    assert found["NanoCpus"] == 16 * 10**9
    assert "CpuQuota" not in found
    assert "CpuPeriod" not in found


def test_limits_beyond_the_host_are_the_hosts() -> None:
    small = HostFacts(cpus=2, memory=8 * G)
    found = config(host=small)
    assert found["NanoCpus"] == 2 * 10**9
    assert found["Memory"] == found["MemorySwap"] == 8 * G


def test_unlimited_is_unlimited() -> None:
    found = config(limits=UNLIMITED)
    for name in ("NanoCpus", "Memory", "MemorySwap", "PidsLimit", "ShmSize"):
        assert name not in found
    labels = rewrite({"Image": "x"}, UNLIMITED).request["Labels"]
    assert labels["ds01.limit.memory"] == "unlimited"
    assert config({"Memory": G}, limits=UNLIMITED)["MemorySwap"] == 2 * G


@pytest.mark.parametrize(
    ("allowed", "asked", "asked_swap", "result"),
    [
        (32 * G, 0, 0, 32 * G),
        (32 * G, G, 0, G),
        (32 * G, G, -1, G),
        (40 * G, G, 0, 2 * G),
        (40 * G, G, -1, 9 * G),
        (40 * G, 0, 33 * G, 33 * G),
        (40 * G, 4 * G, 4 * G, 4 * G),
        (None, 0, 0, -1),
        (None, G, 0, 2 * G),
        (None, G, -1, -1),
        (16 * G, 0, 0, 16 * G),
    ],
)
def test_swap(allowed: int | None, asked: int, asked_swap: int, result: int) -> None:
    limits = replace(LIMITS, memory_swap=allowed)
    found = config({"Memory": asked, "MemorySwap": asked_swap}, limits=limits)
    assert found["MemorySwap"] == result


def test_ulimits_are_what_the_engine_can_give() -> None:
    bound = replace(HOST, ceilings={"memlock": 8 << 20, "nofile": 1000})
    wish = [{"Name": "nofile", "Soft": 500, "Hard": 5000}]
    found = config({"Ulimits": wish}, host=bound)["Ulimits"]
    assert {"Name": "memlock", "Soft": 8 << 20, "Hard": 8 << 20} in found
    assert {"Name": "nofile", "Soft": 500, "Hard": 1000} in found
    note = notes_of({}, host=bound)["ulimit-memlock"]
    assert note.level == "warning"
    assert "8m" in note.text
    assert "rtprio" not in json.dumps(
        config({"Ulimits": [{"Name": "rtprio", "Soft": 99, "Hard": 99}]})
    )


def test_log_limits() -> None:
    wish = {"Type": "json-file", "Config": {"max-size": "10m", "tag": "x"}}
    assert config({"LogConfig": wish})["LogConfig"]["Config"]["max-size"] == "10m"
    wish["Config"] = {"max-size": "10g", "max-file": "999", "unknown": "x"}
    found = config({"LogConfig": wish})["LogConfig"]["Config"]
    assert found == {"max-size": "50m", "max-file": "3"}
    assert config({"LogConfig": {"Type": "none"}})["LogConfig"]["Type"] == "none"
    found = config({"LogConfig": {"Type": "syslog", "Config": {"a": "b"}}})
    assert found["LogConfig"]["Type"] == "json-file"
    journal = replace(HOST, logging_driver="journald")
    assert "LogConfig" not in config(host=journal)


def test_cgroup_parent_fits_the_driver() -> None:
    site = Site(cgroup_parent="ds01")
    assert config(site=site)["CgroupParent"] == "/ds01/u1000"
    systemd = replace(HOST, cgroup_driver="systemd")
    assert config(site=site, host=systemd)["CgroupParent"] == "ds01-u1000.slice"
    found = rewrite({"HostConfig": {"CgroupParent": "/system.slice"}})
    assert "CgroupParent" not in found.request["HostConfig"]
    assert [note.code for note in found.notes] == ["cgroup", "cgroup"]


def test_labels() -> None:
    asked = {
        "a": "b",
        "ds01.user": "root",
        "DS01.uid": "0",
        "ds01.x": "",
        "aime.mlc": "u",
    }
    odd = Caller(2**31 + 5, "o,dd@ex.org")
    found = rewrite({"Labels": asked}, caller=odd).request["Labels"]
    assert found["a"] == "b"
    assert found["ds01.user"] == "o_dd@ex.org"
    assert found["ds01.uid"] == str(2**31 + 5)
    assert found["ds01.created"] == "2026-11-24T08:30:00Z"
    assert found["ds01.managed"] == "1"
    assert found["ds01.limit.cpus"] == "16"
    assert found["ds01.limit.memory"] == "32g"
    assert "ds01.x" not in found
    assert "DS01.uid" not in found
    for key, value in found.items():
        assert value
        assert "," not in key + value


def test_mlcs_labels_name_the_caller() -> None:
    asked = {"aime.mlc": "bob", "aime.mlc.USER": "bob", "aime.mlc.NAME": "bob"}
    made = rewrite({"Labels": asked})
    labels = made.request["Labels"]
    assert labels["aime.mlc"] == labels["aime.mlc.USER"] == "alice"
    assert labels["aime.mlc.NAME"] == "bob"
    assert {note.level for note in made.notes if note.code == "label"} == {"quiet"}
    assert "aime.mlc" not in rewrite({"Labels": {}}).request["Labels"]
    same = notes_of({"Labels": {"aime.mlc": "alice"}})
    assert "label" not in same
    # Root makes containers for others.
    root = rewrite({"Labels": asked}, caller=Caller(0, "root")).request["Labels"]
    assert root["aime.mlc"] == "bob"


# Names -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", "job", "job._.1000", "a1b2c3_job._.1000", "job._.x", "job._._.1000"]
)
def test_names_of_ones_own(name: str) -> None:
    assert rewrite({"Image": "x"}, name=name)


@pytest.mark.parametrize(
    "name",
    [
        "job._.1001",
        "job._.100",
        "job._.10001",
        "job._.01000",
        "job._.1001-2",
        "job._.1001._.1000",
        "job._.1000._.1001",
        "job._.1001-moving",
    ],
)
def test_names_with_anothers_number_are_refused(name: str) -> None:
    with pytest.raises(RefusalError) as caught:
        rewrite({"Image": "x"}, name=name)
    assert caught.value.code == "name"
    assert "._.1000'" in (caught.value.hint or "")


def test_root_gives_names_with_any_number() -> None:
    gateway_rewrite.check_name("job._.1001", Caller(0, "root"))


@pytest.mark.parametrize("caller", [CALLER, Caller(0, "root")])
def test_the_name_of_a_container_on_the_move_is_kept(caller: Caller) -> None:
    for name in ("job-moving", f"job._.{caller.uid}{ASIDE}"):
        with pytest.raises(RefusalError) as caught:
            gateway_rewrite.check_name(name, caller)
        assert caught.value.code == "name"
    gateway_rewrite.check_name("moving", caller)
    gateway_rewrite.check_name("job-moving-2", caller)


def test_a_name_that_no_record_could_have_is_refused() -> None:
    paths = Paths(Path("/etc"), Path("/state"), Path("/log"))
    gateway_rewrite.check_name("a" * 190, CALLER)
    record_path(paths, "a" * 190 + ASIDE)
    with pytest.raises(RefusalError) as caught:
        gateway_rewrite.check_name("a" * 191, CALLER)
    assert caught.value.code == "name" and "191 characters" in caught.value.message


# What is confined --------------------------------------------------------------------

MLC = {
    "Image": "aimehub/pytorch",
    "User": "1000:1000",
    "Labels": {"aime.mlc": "alice", "aime.mlc.GPUS": "all"},
    "HostConfig": {
        "Privileged": True,
        "NetworkMode": "host",
        "IpcMode": "host",
        "GroupAdd": ["video", "sudo"],
        "Binds": ["/home/alice/workspace:/workspace", "/tmp/.X11-unix:/tmp/.X11-unix"],
        "Devices": [
            {"PathOnHost": "/dev/snd", "PathInContainer": "/dev/snd"},
            {"PathOnHost": "/dev/video0", "PathInContainer": "/dev/video0"},
        ],
        "Ulimits": [
            {"Name": "memlock", "Soft": -1, "Hard": -1},
            {"Name": "stack", "Soft": 67108864, "Hard": 67108864},
        ],
        "DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}],
    },
}


def test_mlc_gets_its_container_without_a_word_about_its_contract() -> None:
    found = rewrite(MLC)
    host_config = found.request["HostConfig"]
    assert "Privileged" not in host_config
    assert "Devices" not in host_config
    assert "DeviceRequests" not in host_config
    assert host_config["IpcMode"] == "private"
    assert host_config["NetworkMode"] == "host"
    assert host_config["GroupAdd"] == ["video", "sudo"]
    assert found.request["Env"] == ["NVIDIA_VISIBLE_DEVICES=void"]
    told = [note.code for note in found.notes if note.level != "quiet"]
    assert told == []


def test_others_are_told_what_they_do_not_get() -> None:
    plain = {"HostConfig": MLC["HostConfig"]}
    told = {code for code, note in notes_of(plain).items() if note.level == "warning"}
    assert told == {"privileged", "ipc", "device"}


def test_mlc_with_rocm() -> None:
    host = replace(HOST, devices=frozenset({"/dev/kfd", "/dev/dri"}))
    wish = {
        "Devices": [{"PathOnHost": "/dev/kfd"}, {"PathOnHost": "/dev/dri"}],
        "CapAdd": ["SYS_PTRACE"],
        "SecurityOpt": ["seccomp=unconfined"],
        "ShmSize": 8 * G,
    }
    found = config(wish, host=host)
    assert found["SecurityOpt"] == ["seccomp=unconfined"]
    assert len(found["Devices"]) == 2
    assert found["ShmSize"] == 8 * G
    assert "SecurityOpt" not in config({"SecurityOpt": ["seccomp=unconfined"]})


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"CapAdd": ["SYS_ADMIN"]}, "capability"),
        ({"CapAdd": "ALL"}, "capability"),
        ({"CapAdd": ["cap_net_admin"]}, "capability"),
        ({"Devices": [{"PathOnHost": "/dev/sda"}]}, "device"),
        ({"Devices": [{"PathOnHost": "/dev/nvidia0"}]}, "device"),
        ({"Devices": [{"PathOnHost": "/dev/snd/../sda"}]}, "device"),
        ({"Devices": [{"PathOnHost": "/dev/snd/."}]}, "device"),
        ({"Devices": [{}]}, "device"),
        ({"DeviceCgroupRules": ["a *:* rwm"]}, "device"),
        ({"PidMode": "host"}, "pid"),
        ({"UTSMode": "host"}, "uts"),
        ({"UsernsMode": "host"}, "userns"),
        ({"IpcMode": "Host"}, "ipc"),
        ({"SecurityOpt": ["apparmor=unconfined"]}, "security"),
        ({"SecurityOpt": ["label:disable"]}, "security"),
        ({"SecurityOpt": ["systempaths=unconfined"]}, "security"),
        ({"MaskedPaths": []}, "system-paths"),
        ({"ReadonlyPaths": []}, "system-paths"),
        ({"Runtime": "kata"}, "runtime"),
        ({"Sysctls": {"kernel.core_pattern": "|/x"}}, "sysctl"),
        ({"Binds": ["/:/host"]}, "mount"),
        ({"Binds": ["//:/host"]}, "mount"),
        ({"Binds": ["/home/../:/host"]}, "mount"),
        ({"Binds": ["/var:/host:ro"]}, "mount"),
        ({"Binds": ["/home:/host"]}, "mount"),
        ({"Binds": ["/etc/:/host:ro"]}, "mount"),
        ({"Binds": ["/etc/passwd:/host"]}, "mount"),
        ({"Binds": ["/var/run/docker.sock:/x"]}, "mount"),
        ({"Binds": ["/home/a/docker.sock:/x"]}, "mount"),
        ({"Binds": ["/home/a:/x:rshared"]}, "mount"),
        ({"Binds": ["/dev/null:/var/run/nvidia-container-devices/all"]}, "mount"),
        ({"Binds": ["v:/run/nvidia-container-devices/all"]}, "mount"),
        ({"Mounts": [{"Type": "bind", "Source": "/", "Target": "/x"}]}, "mount"),
        ({"Mounts": [{"Type": "npipe", "Source": "x", "Target": "/x"}]}, "mount"),
        (
            {
                "Mounts": [
                    {
                        "Type": "volume",
                        "Target": "/x",
                        "VolumeOptions": {
                            "DriverConfig": {
                                "Options": {"type": "none", "o": "bind", "device": "/"}
                            }
                        },
                    }
                ]
            },
            "mount",
        ),
        ({"VolumeDriver": "rexray"}, "volume"),
        ({"Binds": ["ds01-packages-1:/c"]}, "volume"),
        (
            {
                "Mounts": [
                    {"Type": "volume", "Source": "ds01-packages-1", "Target": "/c"}
                ]
            },
            "volume",
        ),
    ],
)
def test_what_escapes_is_refused(wish: dict[str, Any], code: str) -> None:
    error = refusal(wish)
    assert error.code == code
    assert error.message[0].islower() or error.message.startswith(("IPC", "PID", "'"))


def test_a_link_to_a_protected_folder_is_that_folder() -> None:
    host = replace(HOST, real_paths={"/home/a/x": "/etc/ssh"})
    assert refusal({"Binds": ["/home/a/x:/x"]}, host=host).code == "mount"


@pytest.mark.parametrize(
    "wish",
    [
        {"Binds": ["/home/a/data:/data", "named:/v", "/raid/x:/x:ro,rslave"]},
        {"Binds": ["/etc/localtime:/etc/localtime:ro", "/etc/passwd:/etc/passwd:ro"]},
        {"Binds": ["/run/user/1000/pulse:/pulse"]},
        {"Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"Mode": 511}}]},
        {"Mounts": [{"Type": "volume", "Source": "v", "Target": "/v"}]},
        {"Binds": [f"ds01-packages-{CALLER.uid}:/c"]},
        {"CapAdd": ["SYS_PTRACE", "CAP_CHOWN"], "CapDrop": ["ALL"]},
        {"SecurityOpt": ["no-new-privileges"]},
        {"PidMode": "container:abc", "NetworkMode": "container:a._.1"},
        {"NetworkMode": "none"},
        {"NetworkMode": "my_net"},
        {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}},
        {"Sysctls": {"net.core.somaxconn": "1024"}, "Tmpfs": {"/run": "size=1m"}},
        {"StorageOpt": {"size": "10G"}, "AutoRemove": True, "GroupAdd": ["1"]},
    ],
)
def test_what_stays_inside_passes(wish: dict[str, Any]) -> None:
    found = config(wish)
    for key, value in wish.items():
        assert found[key] == value


def test_joining_others_is_for_private_gateways_only() -> None:
    other = Caller(1000, "alice", private=False)
    for wish in (
        {"PidMode": "container:x"},
        {"IpcMode": "container:x"},
        {"NetworkMode": "container:x"},
        {"VolumesFrom": ["x"]},
    ):
        config(wish)
        refusal(wish, caller=other)


def test_host_network_only_where_policy_has_it() -> None:
    bridge = replace(LIMITS, network="bridge")
    found = rewrite(
        {
            "HostConfig": {"NetworkMode": "host"},
            "NetworkingConfig": {"EndpointsConfig": {"host": {}}},
        },
        bridge,
    )
    assert found.request["HostConfig"]["NetworkMode"] == "bridge"
    assert found.request["NetworkingConfig"] == {"EndpointsConfig": {}}
    assert config({"NetworkMode": "none"}, limits=bridge)["NetworkMode"] == "none"


def test_gpu_requests() -> None:
    wish = {
        "Env": ["A=1", "NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_VISIBLE_DEVICES"],
        "HostConfig": {
            "Runtime": "nvidia",
            "DeviceRequests": [
                {
                    "Count": 1,
                    "Options": {"ds01.profile": "x", "a": "b"},
                    "Capabilities": [["gpu", "utility", "other"]],
                }
            ],
        },
    }
    without = rewrite(wish).request
    assert without["Env"] == ["A=1", "NVIDIA_VISIBLE_DEVICES=void"]
    assert "DeviceRequests" not in without["HostConfig"]
    assert "Runtime" not in without["HostConfig"]
    assert without["Labels"].get("ds01.gpus") is None
    labels = {"ds01.gpus": "GPU-1;GPU-2", "ds01.gpu.request": "full:2"}
    granted = rewrite(wish, gpus=Gpus(("GPU-1", "GPU-2"), labels)).request
    assert granted["Env"] == [
        "A=1",
        "NVIDIA_VISIBLE_DEVICES=GPU-1,GPU-2",
        "CUDA_DEVICE_ORDER=PCI_BUS_ID",
    ]
    # Nothing of the request is left but what the devices may be used for.
    assert granted["HostConfig"]["DeviceRequests"] == [
        {"DeviceIDs": ["GPU-1", "GPU-2"], "Capabilities": [["gpu", "utility"]]}
    ]
    assert granted["Labels"]["ds01.gpus"] == "GPU-1;GPU-2"


def test_mlcs_label_of_gpus_holds_no_comma() -> None:
    words = "count=1,options=ds01.profile=1g.5gb"
    wish = {"Labels": {"aime.mlc": "alice", "aime.mlc.GPUS": words}}
    labels = {"ds01.gpus": "MIG-1", "ds01.gpu.request": "1g.5gb"}
    granted = rewrite(wish, gpus=Gpus(("MIG-1",), labels)).request
    assert granted["Labels"]["aime.mlc.GPUS"] == "1g.5gb"
    assert rewrite(wish).request["Labels"]["aime.mlc.GPUS"] == "none"


def test_weights_cannot_be_raised() -> None:
    wish = {
        "CpuShares": 100_000,
        "BlkioWeight": 1000,
        "OomScoreAdj": -1000,
        "OomKillDisable": True,
        "CpuRealtimeRuntime": 1,
        "CpusetCpus": "0-1",
    }
    found = config(wish)
    assert found["CpusetCpus"] == "0-1"
    assert not (wish.keys() - {"CpusetCpus"}) & found.keys()
    assert config({"CpuShares": 512, "OomScoreAdj": 5})["CpuShares"] == 512


def test_exec() -> None:
    body, _ = gateway_rewrite.check_exec(
        b'{"Cmd": ["ls"], "Tty": true, "privileged": false}'
    )
    assert json.loads(body) == {"Cmd": ["ls"], "Tty": True}
    for text in ('{"Privileged": true}', '{"PRIVILEGED": true}'):
        with pytest.raises(RefusalError):
            gateway_rewrite.check_exec(text.encode())
    with pytest.raises(json_body.MalformedError):
        gateway_rewrite.check_exec(b'{"Privileged": false, "privileged": true}')


@pytest.mark.parametrize(
    ("options", "is_fine"),
    [
        ({}, True),
        ({"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}, True),
        ({"type": "none", "device": "/home/a", "o": "bind"}, True),
        ({"type": "none", "device": "/", "o": "bind"}, False),
        ({"device": "/etc", "o": "rbind"}, False),
        ({"type": "ext4", "device": "/dev/sda1"}, False),
        ({"type": "none", "device": "/dev/sda1"}, False),
        ({"type": "nfs", "device": ":/x", "o": "addr=1.2.3.4"}, False),
        ({"type": "overlay", "device": "overlay", "o": "lowerdir=/"}, False),
    ],
)
def test_volumes(options: dict[str, str], is_fine: bool) -> None:
    body = json.dumps({"Name": "v", "DriverOpts": options}).encode()
    if is_fine:
        gateway_rewrite.check_volume(body, CALLER, HOST, SITE)
    else:
        with pytest.raises(RefusalError):
            gateway_rewrite.check_volume(body, CALLER, HOST, SITE)


# Properties --------------------------------------------------------------------------


def go_key(name: str) -> str:
    """Fold a name as Go's EqualFold does for the letters of ASCII names."""
    return name.replace("ſ", "s").replace("\u212a", "k").lower()


def go_read(pairs: Any, fields: set[str] | None = None) -> Any:
    """Decode as Go would: any case, last wins, objects merge; keys in lower case."""
    if isinstance(pairs, list) and not isinstance(pairs, json_body.Pairs):
        return [go_read(item) for item in pairs]
    if not isinstance(pairs, json_body.Pairs):
        return pairs
    result: dict[str, Any] = {}
    for key, value in pairs:
        name = go_key(key)
        read = go_read(value)
        if isinstance(read, dict) and isinstance(result.get(name), dict):
            result[name].update(read)
        elif read is not None:
            result[name] = read
    return result


_HOSTILE: dict[str, st.SearchStrategy[Any]] = {
    "Privileged": st.booleans(),
    "CapAdd": st.lists(st.sampled_from(["SYS_ADMIN", "SYS_PTRACE", "all"]), max_size=2),
    "PidMode": st.sampled_from(["", "host", "container:x"]),
    "IpcMode": st.sampled_from(["", "host", "private", "HOST"]),
    "NetworkMode": st.sampled_from(["", "host", "bridge", "default", "net"]),
    "UsernsMode": st.sampled_from(["", "host"]),
    "Memory": st.integers(-(2**40), 2**62),
    "MemorySwap": st.integers(-1, 2**62),
    "NanoCpus": st.integers(-1, 2**62),
    "CpuQuota": st.integers(-1, 2**40),
    "CpuPeriod": st.integers(0, 10**6),
    "PidsLimit": st.integers(-1, 2**40) | st.none(),
    "ShmSize": st.integers(-1, 2**50),
    "Binds": st.lists(
        st.sampled_from(["/:/x", "/home/a:/a", "v:/v", "/etc:/e", "//etc:/e:ro"]),
        max_size=2,
    ),
    "Devices": st.lists(
        st.fixed_dictionaries(
            {"PathOnHost": st.sampled_from(["/dev/sda", "/dev/snd", "/dev/nvidia0"])}
        ),
        max_size=2,
    ),
    "CgroupParent": st.sampled_from(["", "/", "/system.slice"]),
    "Runtime": st.sampled_from(["", "runc", "nvidia", "other"]),
    "OomKillDisable": st.booleans(),
    "RestartPolicy": st.fixed_dictionaries({"Name": st.sampled_from(["always", "no"])}),
    "Init": st.booleans() | st.none(),
    "SecurityOpt": st.lists(
        st.sampled_from(["seccomp=unconfined", "apparmor=unconfined"]), max_size=1
    ),
    "MaskedPaths": st.none() | st.just([]),
}


def _spell(name: str, flips: list[bool], exotic: bool) -> str:
    letters = [
        letter.swapcase() if flip else letter
        for letter, flip in zip(name, flips, strict=False)
    ] + list(name[len(flips) :])
    text = "".join(letters)
    if exotic:
        text = text.replace("s", "ſ", 1).replace("k", "\u212a", 1)
    return text


_spelling = st.tuples(st.lists(st.booleans(), max_size=6), st.booleans())


@st.composite
def hostile_bodies(draw: st.DrawFn) -> str:
    """Return a create request in odd spelling, at times with repeated keys."""

    def entry(name: str, text: str) -> str:
        flips, exotic = draw(_spelling) if draw(st.booleans()) else ([], False)
        return f"{json.dumps(_spell(name, flips, exotic))}: {text}"

    def host_config() -> str:
        names = draw(st.lists(st.sampled_from(sorted(_HOSTILE)), max_size=6))
        if draw(st.integers(0, 9)):
            names = list(dict.fromkeys(names))
        parts = [entry(name, json.dumps(draw(_HOSTILE[name]))) for name in names]
        return ", ".join(parts)

    parts = [entry("Image", '"x"')]
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2]))):
        parts.append(entry("HostConfig", "{" + host_config() + "}"))
    if not draw(st.integers(0, 3)) and (top := host_config()):
        parts.append(top)
    if draw(st.booleans()):
        labels = {"ds01.uid": "0", "Ds01.user": "root", "a": "b"}
        parts.append(entry("Labels", json.dumps(labels)))
    if draw(st.booleans()):
        parts.append(entry("Env", '["NVIDIA_VISIBLE_DEVICES=all", "B=1"]'))
    return "{" + ", ".join(draw(st.permutations(parts))) + "}"


_limits = st.builds(
    SomeLimits,
    max_cpus=st.none() | st.floats(0.01, 512),
    memory=st.none() | st.integers(1 << 26, 1 << 45),
    memory_swap=st.none() | st.integers(1 << 26, 1 << 45),
    shm_size=st.none() | st.integers(1, 1 << 40),
    pids_limit=st.none() | st.integers(1, 1 << 20),
    network=st.sampled_from(["host", "bridge"]),
)


@settings(max_examples=400)
@given(hostile_bodies(), _limits)
def test_nothing_forbidden_reaches_the_engine(body: str, limits: SomeLimits) -> None:
    try:
        create, unknown = gateway_rewrite.read_create(body.encode())
        found = gateway_rewrite.rewrite_create(
            create, CALLER, limits, HOST, SITE, now=NOW, unknown=tuple(unknown)
        )
    except (RefusalError, json_body.MalformedError):
        return
    sent = json_body.encode(found.request)
    read = go_read(json.loads(sent, object_pairs_hook=json_body.Pairs))
    assert not {go_key(name) for name in _HOSTILE} & read.keys()
    host = read["hostconfig"]
    for name in (
        "privileged",
        "usernsmode",
        "maskedpaths",
        "securityopt",
        "oomkilldisable",
    ):
        assert not host.get(name)
    assert host["ipcmode"] == "private"
    assert host["init"] is True
    assert host["restartpolicy"] == {"name": "no", "maximumretrycount": 0}
    assert host.get("pidmode", "") in {"", "container:x"}
    assert set(host.get("capadd", [])) <= {"SYS_PTRACE"}
    assert set(host.get("binds", [])) <= {"/home/a:/a", "v:/v"}
    assert not host.get("devices")
    assert "cgroupparent" not in host
    assert host.get("runtime", "") == ""
    if limits.network == "bridge":
        assert host.get("networkmode") != "host"
    if limits.max_cpus is not None:
        assert 0 < host["nanocpus"] <= max(round(limits.max_cpus * 10**9), 10**7)
        assert host["nanocpus"] <= HOST.cpus * 10**9
        assert not host.get("cpuquota")
    if limits.memory is not None:
        assert 0 < host["memory"] <= limits.memory
    if limits.memory_swap is not None:
        assert 0 < host["memory"] <= host["memoryswap"] <= limits.memory_swap
    if limits.shm_size is not None:
        assert 0 < host["shmsize"] <= limits.shm_size
    if limits.pids_limit is not None:
        assert 0 < host["pidslimit"] <= limits.pids_limit
    assert read["env"][-1] == "NVIDIA_VISIBLE_DEVICES=void"
    assert read["env"].count("NVIDIA_VISIBLE_DEVICES=all") == 0
    assert read["labels"]["ds01.uid"] == "1000"
    assert read["labels"]["ds01.user"] == "alice"


@given(hostile_bodies())
def test_a_second_gateway_changes_nothing(body: str) -> None:
    try:
        create, _ = gateway_rewrite.read_create(body.encode())
        first = gateway_rewrite.rewrite_create(
            create, CALLER, LIMITS, HOST, SITE, now=NOW
        )
    except (RefusalError, json_body.MalformedError):
        return
    again, unknown = gateway_rewrite.read_create(json_body.encode(first.request))
    assert not unknown
    second = gateway_rewrite.rewrite_create(again, CALLER, LIMITS, HOST, SITE, now=NOW)
    assert second.request == first.request
    assert all(note.level == "quiet" for note in second.notes)


@given(st.from_regex(r"(/|\.\.?|home|a|etc|var|run|docker\.sock){1,8}", fullmatch=True))
def test_no_spelling_of_a_path_opens_the_host(text: str) -> None:
    path = "/" + text
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    real = "/" + "/".join(parts)
    if re.fullmatch(r"/(|etc(/.*)?|var|var/run(/.*)?|run(/.*)?|home)", real):
        assert confine.protected_path(path, CALLER, HOST, SITE)
