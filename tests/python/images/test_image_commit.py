"""image_commit: what an image says that is a copy of a container."""

from __future__ import annotations

import os

from ds01.containers.containers import from_summary
from ds01.images.shelf import commit
from ds01.images.shelf.labels import decode

OF_CONTAINER = {
    "aime.mlc": "alice",
    "aime.mlc.NAME": "work",
    "aime.mlc.FRAMEWORK": "Pytorch-2.8.0",
    "aime.mlc.ARCH": "CUDA_ADA",
    "ds01.managed": "1",
    "ds01.uid": "1000",
    "ds01.gpus": "GPU-1;GPU-2",
    "ds01.gpu.profiles": "full;full",
    "ds01.limit.cpus": "2",
    "maintainer": "somebody",
}


def labels_of(found: dict[str, str]) -> dict[str, str]:
    item = from_summary({"Names": ["/work._.1000"], "Labels": found})
    return commit.labels(item, found, "copy", "2026-01-01T00:00:00Z")


def test_nothing_that_is_true_of_the_container_only_is_said_of_the_image() -> None:
    made = labels_of(OF_CONTAINER)
    inherited = {**OF_CONTAINER, **made}
    assert inherited["ds01.gpus"] == inherited["ds01.gpu.profiles"] == "none"
    for key in ("aime.mlc", "aime.mlc.NAME", "ds01.managed", "ds01.uid"):
        assert inherited[key] == "-"
    # What is nobody's but the base image's stays.
    assert inherited["maintainer"] == "somebody"


def test_every_label_has_a_value_without_a_comma() -> None:
    made = labels_of({**OF_CONTAINER, "aime.mlc.WORK_MOUNT": "/home/a,b"})
    assert all(value and "," not in value for value in made.values())


def test_the_image_is_known_as_a_copy_of_its_owner() -> None:
    found = decode(labels_of(OF_CONTAINER))
    assert found is not None
    assert (found.name, found.uid, found.made_by) == (
        "copy",
        str(os.getuid()),
        "container-save",
    )
    assert (found.framework, found.architecture) == ("Pytorch-2.8.0", "CUDA_ADA")
    assert (found.spec, found.lock, found.source, found.shared) == ("-", "-", "-", "0")


def test_a_copy_of_a_container_of_an_own_image_says_what_that_was_built_on() -> None:
    own = {"ds01.image.name": "x", "ds01.image.uid": "1000", "ds01.image.base": "a:1"}
    found = decode(labels_of({**OF_CONTAINER, **own, "ds01.image.shared": "1"}))
    assert found is not None
    assert (found.name, found.base, found.shared) == ("copy", "a:1", "0")
