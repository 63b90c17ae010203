"""From the options of a command to docker's words, and back through Docker's parser."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest

import gpu_words
from ds01.core.errors import Exit, HelperError
from ds01.gpus.ledger.device_request import waits
from ds01.gpus.rules import request_words
from ds01.gpus.rules.request import Request, from_device_request, parse_request


def device_requests(words: str) -> list[dict[str, Any]]:
    """What `docker create --gpus WORDS` sends, by docker's rules (opts/gpus.go)."""
    request: dict[str, Any] = {"Count": 1, "Capabilities": [["gpu"]]}
    for field in next(csv.reader([words])):
        key, equals, value = field.partition("=")
        if not equals:
            key, value = "count", field
        if key == "count":
            request["Count"] = -1 if value == "all" else int(value)
        elif key == "device":
            request["DeviceIDs"] = value.split(",")
            request["Count"] = 0
        else:
            assert key == "options"
            pairs = (pair.partition("=") for pair in next(csv.reader([value])))
            request["Options"] = {name: text for name, _, text in pairs}
    return [request]


@pytest.mark.parametrize(
    "spec",
    [
        *("none", "default", "1", "3", "full", "full:2", "1g.10gb", "3g.20gb:2"),
        *("mem=10g", "device=GPU-1", "device=MIG-1;MIG-2"),
    ],
)
@pytest.mark.parametrize("wait", [None, "", "2h"])
def test_docker_hands_the_same_request_on(spec: str, wait: str | None) -> None:
    request = parse_request(spec)
    sent = device_requests(request_words.docker_words(request, wait))
    assert from_device_request(sent) == request
    expected: tuple[bool, float | None]
    expected = (False, None) if wait is None or spec == "none" else (True, None)
    if wait and spec != "none":
        expected = (True, 7200.0)
    assert waits(sent) == expected


def test_memory_and_kind_are_two_ways_to_say_it() -> None:
    assert request_words.requested(None, None) is None
    assert request_words.requested(None, "10g") == Request("memory", memory=10 * 10**9)
    assert request_words.requested("full", None) == Request("full")
    with pytest.raises(HelperError) as caught:
        request_words.requested("full", "10g")
    assert caught.value.code == Exit.USAGE


@pytest.mark.parametrize("wait", ["2", "soon", "-1h"])
def test_a_time_to_wait_has_a_unit(wait: str) -> None:
    with pytest.raises(HelperError) as caught:
        request_words.docker_words(Request("default"), wait)
    assert caught.value.code == Exit.USAGE
    assert "--wait" in str(caught.value.hint)


def test_waiting_alone_asks_for_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_words.main(["--wait", ""]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["request"] == "default"
    assert device_requests(shown["docker"])[0]["Count"] == -1
    assert gpu_words.main([]) == 0
    assert json.loads(capsys.readouterr().out) == {"docker": "", "request": ""}
