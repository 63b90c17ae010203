"""What a container is made anew from."""

from __future__ import annotations

from typing import Any

from ds01.gpus.allocator import rehome
from ds01.gpus.ledger.device_request import Gpus

DETAILS: dict[str, Any] = {
    "Id": "0123456789abcdef",
    "Name": "/job._.1001",
    "Config": {
        "Image": "ds01/debian:job._.1001",
        "Hostname": "0123456789ab",
        "Env": ["A=1", "NVIDIA_VISIBLE_DEVICES=GPU-old", "CUDA_DEVICE_ORDER=x"],
        "Labels": {"aime.mlc": "alice", "ds01.gpus": "GPU-old"},
        "User": "1001:1001",
    },
    "HostConfig": {
        "NetworkMode": "lab",
        "Binds": ["/home/alice/workspace:/workspace"],
        "Memory": 1 << 30,
        "DeviceRequests": [
            {"DeviceIDs": ["GPU-old"], "Capabilities": [["gpu", "utility"]]}
        ],
    },
    "NetworkSettings": {
        "Networks": {"lab": {"Aliases": ["job"], "IPAddress": "10.0.0.2"}}
    },
}
GPUS = Gpus(("GPU-new",), {"ds01.gpus": "GPU-new"})


def test_everything_stays_but_the_devices() -> None:
    body = rehome.create_body(DETAILS, "img", GPUS)
    assert body["HostConfig"]["Binds"] == DETAILS["HostConfig"]["Binds"]
    assert body["HostConfig"]["Memory"] == 1 << 30
    assert body["User"] == "1001:1001"
    assert body["Labels"] == {
        "aime.mlc": "alice",
        "ds01.gpus": "GPU-new",
        "ds01.moved.from": "0123456789abcdef",
    }
    assert body["HostConfig"]["DeviceRequests"] == [
        {"DeviceIDs": ["GPU-new"], "Capabilities": [["gpu", "utility"]]}
    ]
    assert body["Env"] == [
        "A=1",
        "NVIDIA_VISIBLE_DEVICES=GPU-new",
        "CUDA_DEVICE_ORDER=PCI_BUS_ID",
    ]


def test_what_was_the_engines_choice_is_chosen_anew() -> None:
    body = rehome.create_body(DETAILS, "img", GPUS)
    assert "Hostname" not in body
    endpoint = body["NetworkingConfig"]["EndpointsConfig"]["lab"]
    assert endpoint == {"Aliases": ["job"], "IPAMConfig": None, "Links": None}


def test_the_details_are_left_as_they_are() -> None:
    before = repr(DETAILS)
    rehome.create_body(DETAILS, "img", GPUS)
    assert repr(DETAILS) == before


def test_the_files_go_into_mlcs_own_image_of_the_container() -> None:
    assert rehome.image_for(DETAILS) == ("ds01/debian", "job._.1001")
    other = {"Name": "/x", "Config": {"Image": "host:5000/a/b"}}
    assert rehome.image_for(other) == ("ds01-moved", "x")
    aside = {**DETAILS, "Name": "/job._.1001-moving"}
    assert rehome.image_for(aside) == ("ds01/debian", "job._.1001")


def test_volumes_of_the_image_are_kept_by_name() -> None:
    mounts = [
        {"Type": "volume", "Name": "v1", "Destination": "/vol", "RW": True},
        {"Type": "volume", "Name": "v2", "Destination": "/ro", "RW": False},
        {"Type": "volume", "Name": "v3", "Destination": "/workspace", "RW": True},
        {"Type": "bind", "Source": "/a", "Destination": "/b", "RW": True},
    ]
    body = rehome.create_body({**DETAILS, "Mounts": mounts}, "img", GPUS)
    assert body["HostConfig"]["Binds"] == [
        "/home/alice/workspace:/workspace",
        "v1:/vol",
        "v2:/ro:ro",
    ]


def aside(**labels: str) -> dict[str, Any]:
    return {"Id": "old", "Config": {"Labels": labels}}


def test_only_what_was_set_aside_for_this_container_counts() -> None:
    name = "job._.1001"
    mine = aside(**{"ds01.uid": "1001", "aime.mlc.NAME": "job"})
    new = aside(**{"ds01.uid": "1001", "ds01.moved.from": "old"})
    assert rehome.is_ours(mine, None, name)
    assert rehome.is_ours(mine, new, name)
    # Somebody else's, or one that has nothing to do with the new one.
    theirs = aside(**{"ds01.uid": "1002", "aime.mlc.NAME": "job"})
    assert not rehome.is_ours(theirs, None, name)
    assert not rehome.is_ours(aside(), None, name)
    assert not rehome.is_ours(aside(**{"ds01.uid": "1001"}), None, name)
    other = aside(**{"ds01.uid": "1001", "ds01.moved.from": "another"})
    assert not rehome.is_ours(mine, other, name)
    assert not rehome.is_ours(mine, aside(**{"ds01.uid": "1001"}), name)
