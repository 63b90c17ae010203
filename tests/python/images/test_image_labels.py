"""image_labels, image_usage: what images and containers say of themselves."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ds01.images.shelf.labels import Labels, decode, encode
from ds01.images.shelf.usage import usage_of

TEXT = st.text(min_size=1, max_size=30)


@given(TEXT, TEXT, TEXT)
def test_labels_survive_aimes_list(name: str, source: str, base: str) -> None:
    labels = Labels(uid="1", name=name, source=source, base=base)
    encoded = encode(labels)
    assert all(value and "," not in value for value in encoded.values())
    # As `mlc list` takes them apart.
    joined = ",".join(f"{key}={value}" for key, value in encoded.items())
    parted = dict(pair.split("=", 1) for pair in joined.split(","))
    assert decode(parted) == labels


def test_what_is_no_custom_image_has_none() -> None:
    assert decode(None) is None
    assert decode({"ds01.image.name": "x"}) is None


def test_a_container_of_an_older_build_is_told() -> None:
    def container(name: str, uid: str, created: str) -> dict[str, Any]:
        labels = encode(Labels(uid=uid, name="vision", created=created))
        return {"Labels": {**labels, "aime.mlc.NAME": name}, "Names": [f"/{name}._.1"]}

    every = [container("b", "1", "old"), container("a", "1", "new")]
    every += [container("c", "2", "old"), {"Labels": None, "Names": ["/d"]}]
    found = usage_of(list(every), "1", "vision", "new")
    assert (found.containers, found.outdated) == (["a", "b"], ["b"])
