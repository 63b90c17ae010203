"""Works out versions by the pip of a base in which uv does not run.

`pip install --dry-run --report` tells as JSON what it would install (pip 22.2 and
newer). What the words of its failures mean is said in image_resolve's terms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ds01.core.errors import Exit, HelperError
from ds01.images.requirements.options import pip_flags
from ds01.images.requirements.words import normal_name
from ds01.images.versions.workshop import CACHE, Done, Workshop

REPORT = "report.json"
_OLD = re.compile(r"no such option: --(?:dry-run|report)")
_NONE = re.compile(r"requirement (\S+?)(?:[=<>!~\[;].*?)? \(from versions: none\)")
_SOME = re.compile(r"requirement (\S+?)([=<>!~]\S*) \(from versions: [^n]")
_IMPOSSIBLE = re.compile(
    r"The conflict is caused by:\n(.*?)(?:\n\s*\n|To fix|Additionally|ERROR:|$)", re.S
)


def words_for(
    interpreter: str, options: Sequence[str], files: Sequence[str]
) -> list[str]:
    """Return the words that have pip tell what it would install."""
    words = [interpreter, "-m", "pip", "install", "--dry-run", "--report", REPORT]
    words += ["--no-input", "--progress-bar", "off", "--disable-pip-version-check"]
    words += ["--cache-dir", f"{CACHE}/pip", "--retries", "2", "--timeout", "20"]
    words += [flag for flag in pip_flags(options) if flag != "--require-hashes"]
    for file in files:
        words += ["--constraint" if file == "limits.txt" else "--requirement", file]
    return words


def run(workshop: Workshop, words: Sequence[str], folder: str) -> Done:
    """Return what pip says; where it worked, its report as a requirements file."""
    env = {"PIP_BREAK_SYSTEM_PACKAGES": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    done = workshop.run(words, folder=folder, env=env)
    if done.status != 0:
        return done
    report = workshop.run(["cat", REPORT], folder=folder)
    return Done(0, "".join(f"{pin}\n" for pin in pins(report.out)), done.err)


def pins(report: str) -> list[str]:
    """Return the pins in a report of pip's; raises HelperError(BUG) for other text."""
    try:
        return [_pin(item) for item in json.loads(report)["install"]]
    except (ValueError, KeyError, TypeError) as error:
        raise HelperError(Exit.BUG, f"pip's report cannot be read: {error}") from error


def _pin(item: Mapping[str, Any]) -> str:
    name = normal_name(item["metadata"]["name"])
    source = item["download_info"]
    if not item.get("is_direct"):
        return f"{name}=={item['metadata']['version']}"
    if vcs := source.get("vcs_info"):
        return f"{name} @ {vcs['vcs']}+{source['url']}@{vcs['commit_id']}"
    if source["url"].startswith("file://"):
        return f"./{source['url'].rpartition('/')[2]}"
    return f"{name} @ {source['url']}"


def in_uvs_words(text: str) -> str:
    """Return a failure of pip's in the words in which uv tells the same."""
    if _OLD.search(text):
        raise HelperError(
            Exit.CONFIG,
            "the base's pip is older than 22.2, which cannot work out versions ahead",
            "choose a newer base",
        )
    if "NewConnectionError" in text or "ConnectTimeoutError" in text:
        return f"error: Failed to fetch: {text}"
    if none := _NONE.search(text):
        return f"{none[1]} was not found in the package registry"
    if some := _SOME.search(text):
        return (
            "error: No solution found when resolving dependencies cause: Because there "
            f"is no version of {some[1]}{some[2]} and you require it"
        )
    if cause := _IMPOSSIBLE.search(text):
        told = ", and ".join(
            line.strip() for line in cause[1].splitlines() if line.strip()
        )
        return f"error: No solution found when resolving dependencies cause: {told}."
    return text
