"""image_versions: versions of Debian packages that somebody asked for."""

from __future__ import annotations

import pytest

from ds01.core.errors import Exit, HelperError
from ds01.images.versions.versions import check_version, policies

POLICY = """\
git:
  Installed: (none)
  Candidate: 1:2.39.5-0+deb12u2
  Version table:
     1:2.39.5-0+deb12u2 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
tree:
  Installed: 2.1.0-1
  Candidate: 2.1.0-1
  Version table:
 *** 2.1.0-1 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
        100 /var/lib/dpkg/status
mail-transport-agent:
  Installed: (none)
  Candidate: (none)
  Version table:
"""


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("tree", ""),
        ("tree", "2.1.0-1"),
        ("git", "1:2.39.5-0+deb12u2"),
        ("mail-transport-agent", "1"),
    ],
)
def test_versions_that_there_are(name: str, version: str) -> None:
    check_version(name, version, policies(POLICY)[name])


def test_another_version_is_told_before_a_build() -> None:
    with pytest.raises(HelperError, match="'tree' has no version") as told:
        check_version("tree", "1:2.39.5", policies(POLICY)["tree"])
    assert told.value.code == Exit.NOT_FOUND
    assert told.value.hint == "there is 2.1.0-1"
