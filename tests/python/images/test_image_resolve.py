"""image_resolve, image_explain, image_resolve_pip: what the resolvers' words mean."""

from __future__ import annotations

import json

import pytest

from ds01.core.errors import Exit, HelperError
from ds01.images.requirements import words
from ds01.images.source.types import Layer
from ds01.images.versions import explain as versions_explain
from ds01.images.versions import resolve, resolve_pip, workshop
from ds01.images.versions.explain import explain
from ds01.images.versions.probe import Found, Package

FOUND = Found(python="3.11.2", packages={"numpy": Package("1.26.4")}, has_uv=True)
OWN = Layer("own", "Yours", "own", pip=("pandas>=3",))
TIER = Layer("data", "Data", "tier", pip=("scipy", "mistyped-one"))
ASKED = versions_explain.Asked(
    FOUND, (TIER, OWN), pinned={"numpy": "1.26.4"}, known=("pandas",)
)


def explained(text: str) -> HelperError:
    return explain(text, ASKED, ASKED.layers)


def test_pins_are_read_with_hashes_and_without_comments() -> None:
    text = "# via\n-i x\na==1 \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\nb==2\n"
    assert resolve.pins_of(text) == ["a==1 --hash=sha256:1 --hash=sha256:2", "b==2"]


def test_an_unknown_package_is_named_with_the_nearest() -> None:
    text = (
        "error: No solution found when resolving dependencies\n  cause: Because pandsa "
        "was not found in the package registry and you require pandsa, we can conclude "
        "that your requirements are unsatisfiable."
    )
    error = explained(text)
    assert error.code == Exit.NOT_FOUND
    assert error.message.endswith("'pandsa', did you mean 'pandas'?")


def test_an_unknown_package_of_a_tier_is_the_administrators() -> None:
    error = explained("Because mistyped-one was not found in the package registry")
    assert error.code == Exit.NOT_FOUND
    assert "of 'data' in packages.yaml" in error.message


def test_a_conflict_says_who_wants_what() -> None:
    text = (
        "error: No solution found when resolving dependencies\n  cause: Because pandas"
        ">=3 depends on numpy>=2 and you require numpy==1.26.4, we can conclude "
        "that pandas>=3 cannot be used.\n And because you require pandas>=3, we "
        "can conclude that your requirements are unsatisfiable."
    )
    error = explained(text)
    assert error.code == Exit.CONFIG
    assert "the base has numpy 1.26.4, which stays" in error.message
    assert "you asked for pandas>=3" in error.message
    assert "you require" not in error.message
    assert "numpy 1.26.4" in str(error.hint)


def test_the_network_is_told_from_a_package_that_is_not_there() -> None:
    text = (
        "error: Request failed after 3 retries in 7.2s\n  cause: Failed to fetch: "
        "https://pypi.org/simple/six/\n  cause: dns error"
    )
    error = explained(text)
    assert error.code == Exit.PREREQUISITE
    assert "'pypi.org'" in error.message
    assert error.message.endswith("dns error")


def test_a_secret_must_be_set_and_is_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = ["--index-url https://${TOKEN}@x/simple"]
    monkeypatch.delenv("TOKEN", raising=False)
    with pytest.raises(HelperError) as caught:
        workshop.secrets(words.variables(line))
    assert caught.value.code == Exit.USAGE
    monkeypatch.setenv("TOKEN", "s3cret")
    assert workshop.secrets(words.variables(line)) == {"TOKEN": "s3cret"}


def test_pips_report_becomes_pins() -> None:
    def item(name: str, version: str, **source: object) -> dict[str, object]:
        is_direct = bool(source)
        source.setdefault("url", "https://files/x.whl")
        metadata = {"name": name, "version": version}
        return {"metadata": metadata, "download_info": source, "is_direct": is_direct}

    vcs = {"vcs": "git", "commit_id": "abc"}
    items = [
        item("Six", "1.17.0"),
        item("a", "1", url="https://h/r", vcs_info=vcs),
        item("b", "1", url="file:///ds01/context/b-1.whl"),
    ]
    assert resolve_pip.pins(json.dumps({"install": items})) == [
        "six==1.17.0",
        "a @ git+https://h/r@abc",
        "./b-1.whl",
    ]
    with pytest.raises(HelperError):
        resolve_pip.pins("[]")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("requirement nope (from versions: none)\nERROR: No matching", Exit.NOT_FOUND),
        ("requirement six==99 (from versions: 1.0, 1.1)", Exit.NOT_FOUND),
        ("The conflict is caused by:\n  a 1 depends on b<1\n  you b>1\n", Exit.CONFIG),
        ("WARNING: Retrying: NewConnectionError\n(from versions: none)", 7),
    ],
)
def test_pips_failures_mean_the_same(text: str, code: int) -> None:
    assert explained(resolve_pip.in_uvs_words(text)).code == code


def test_a_pip_that_is_too_old_is_refused() -> None:
    with pytest.raises(HelperError) as caught:
        resolve_pip.in_uvs_words("no such option: --dry-run")
    assert caught.value.code == Exit.CONFIG
