"""What a container is made anew from."""

from __future__ import annotations

from typing import Any

import gpu_rehome
from gateway_types import Gpus

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
    body = gpu_rehome.create_body(DETAILS, "img", GPUS)
    assert body["HostConfig"]["Binds"] == DETAILS["HostConfig"]["Binds"]
    assert body["HostConfig"]["Memory"] == 1 << 30
    assert body["User"] == "1001:1001"
    assert body["Labels"] == {"aime.mlc": "alice", "ds01.gpus": "GPU-new"}
    assert body["HostConfig"]["DeviceRequests"] == [
        {"DeviceIDs": ["GPU-new"], "Capabilities": [["gpu", "utility"]]}
    ]
    assert body["Env"] == [
        "A=1",
        "NVIDIA_VISIBLE_DEVICES=GPU-new",
        "CUDA_DEVICE_ORDER=PCI_BUS_ID",
    ]


def test_what_was_the_engines_choice_is_chosen_anew() -> None:
    body = gpu_rehome.create_body(DETAILS, "img", GPUS)
    assert "Hostname" not in body
    endpoint = body["NetworkingConfig"]["EndpointsConfig"]["lab"]
    assert endpoint == {"Aliases": ["job"], "IPAMConfig": None, "Links": None}


def test_the_details_are_left_as_they_are() -> None:
    before = repr(DETAILS)
    gpu_rehome.create_body(DETAILS, "img", GPUS)
    assert repr(DETAILS) == before


def test_the_files_go_into_mlcs_own_image_of_the_container() -> None:
    assert gpu_rehome.image_for(DETAILS) == ("ds01/debian", "job._.1001")
    other = {"Name": "/x", "Config": {"Image": "host:5000/a/b"}}
    assert gpu_rehome.image_for(other) == ("ds01-moved", "x")
    aside = {**DETAILS, "Name": "/job._.1001-moving"}
    assert gpu_rehome.image_for(aside) == ("ds01/debian", "job._.1001")
