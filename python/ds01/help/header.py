"""Read a command's header, the comment at the top of its launcher: the only help text.

Its form: `Summary:`, `Usage:` with one line for each way to call it, paragraphs, then
sections such as `Options:`, `Verbs:` and `Examples:` with indented lines. Everything
that is told about a command elsewhere is made from this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_SECTION = re.compile(r"([A-Z][A-Za-z ]*):(?: +(.*))?")
_TERM = re.compile(
    r" +(?P<names>--?[A-Za-z][\w-]*(?:, --?[A-Za-z][\w-]*)*)"
    r"(?P<value>\[=[A-Z][^\]]*\]|[ =](?:[A-Z][A-Z0-9_=:-]*|[a-z0-9-]+(?:\|[a-z0-9-]+)+)"
    r"(?:\.\.\.)?(?= |$))?"
    r"(?: +(?P<text>.*))?"
)
_ALSO = re.compile(r"\(also (--?[\w-]+)\)")
_CHOICES = re.compile(
    r"^[^:(]+: ([a-z0-9-]+(?:, [a-z0-9-]+)* or [a-z0-9-]+)(?=[;.]|$| \()"
)
# What the words of a usage line are made of: brackets, and words with their dots.
_USAGE_WORD = re.compile(r"[][]|[^][\s]+")


@dataclass(frozen=True)
class Option:
    """One option: its names as they are written, and what its value is called.

    `value` is `DIR`, or words to choose from such as `a|b`, and empty for a flag.
    `aliases` are other spellings that the text names.
    """

    names: tuple[str, ...]
    value: str = ""
    value_is_optional: bool = False
    text: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The option as the header writes it: `-w, --workspace DIR`."""
        names = ", ".join(self.names)
        if not self.value:
            return names
        return names + (
            f"[={self.value}]" if self.value_is_optional else f" {self.value}"
        )

    @property
    def long(self) -> str:
        """The longest name, without its dashes."""
        return max(self.names, key=len).lstrip("-")

    @property
    def is_repeatable(self) -> bool:
        return "repeat" in self.text

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that the text lists: `one step: access, ssh or git; repeatable`."""
        found = _CHOICES.search(self.text)
        return tuple(re.split(r", | or ", found[1])) if found else ()


@dataclass(frozen=True)
class Header:
    """One command's header. `verbs` are the words of a section `Verbs:`."""

    name: str
    summary: str
    usage: tuple[str, ...]
    text: tuple[str, ...]
    options: tuple[Option, ...]
    verbs: tuple[tuple[str, str], ...] = ()
    examples: tuple[str, ...] = ()
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_dispatcher: bool = False

    def option(self, word: str) -> Option | None:
        """Return the option that a word names."""
        for each in self.options:
            if word in each.names or word in each.aliases:
                return each
        return None


def comment(lines: Sequence[str]) -> list[str]:
    """Return the lines of a launcher's header, without the comment signs."""
    found = []
    for line in lines:
        if line.startswith("#!"):
            continue
        if line != "#" and not line.startswith("# "):
            break
        found.append(line[2:].rstrip())
    return found


def parse_header(name: str, source: str) -> Header:
    """Return the header in a launcher's text.

    Raises ValueError where the summary or the usage is missing.
    """
    lines = comment(source.splitlines())
    sections: dict[str, list[str]] = {}
    # What stands before the first section with indented lines belongs to no section.
    body = sections.setdefault("", [])
    for line in lines:
        found = _SECTION.fullmatch(line)
        if found and found[1] in ("Summary", "Usage"):
            body = sections.setdefault(found[1], [])
            body.append(found[2] or "")
        elif found and not found[2]:
            body = sections.setdefault(found[1], [])
        else:
            # A section ends at a line that is not indented, and Usage at an empty one.
            if not line.startswith(" ") if line else body is sections.get("Usage"):
                body = sections[""]
            if line or body is sections[""]:
                body.append(line)
    summary = " ".join(sections.pop("Summary", [])).strip()
    usage = tuple(_usages(name, sections.pop("Usage", [])))
    if not summary or not usage:
        raise ValueError(f"the header of '{name}' has no summary or no usage")
    return Header(
        name=name,
        summary=summary,
        usage=usage,
        text=tuple(_paragraphs(sections.pop(""))),
        options=tuple(_options(sections.pop("Options", []))),
        verbs=tuple(_verbs(sections.pop("Verbs", []))),
        examples=tuple(line.strip() for line in sections.pop("Examples", [])),
        others={title: tuple(each) for title, each in sections.items()},
        is_dispatcher="lib/dispatch" in source,
    )


def _usages(name: str, lines: Sequence[str]) -> Iterator[str]:
    """Yield the ways to call a command; a line without its name goes on with the one
    before."""
    joined = ""
    for line in lines:
        if joined and line.split()[:1] == [name]:
            yield joined
            joined = ""
        joined = f"{joined} {line.strip()}".strip()
    if joined:
        yield joined


def _paragraphs(lines: Sequence[str]) -> Iterator[str]:
    """Yield paragraphs; one with an indented first line keeps its lines as they are."""
    collected: list[str] = []
    for line in [*lines, ""]:
        if line:
            collected.append(line)
        elif collected:
            is_block = collected[0].startswith(" ")
            yield "\n".join(collected) if is_block else " ".join(collected)
            collected = []


def _entries(lines: Sequence[str], begin: re.Pattern[str]) -> Iterator[re.Match[str]]:
    """Yield a match for each entry, with its continued lines joined to it."""
    entry = ""
    for line in lines:
        if begin.fullmatch(line):
            if entry:
                yield _matched(begin, entry)
            entry = line
        elif entry:
            entry += " " + ("" if "  " in entry.strip() else " ") + line.strip()
    if entry:
        yield _matched(begin, entry)


def _matched(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError(f"cannot read '{text}'")
    return found


def _options(lines: Sequence[str]) -> Iterator[Option]:
    for found in _entries(lines, _TERM):
        value = found["value"] or ""
        text = (found["text"] or "").strip()
        yield Option(
            names=tuple(found["names"].split(", ")),
            value=value.strip("[]= "),
            value_is_optional=value.startswith("["),
            text=text,
            aliases=tuple(_ALSO.findall(text)),
        )


_VERB = re.compile(r" {2}(?P<name>[a-z][\w-]*)(?P<words>(?: \S+)*?) {2,}(?P<text>\S.*)")


def _verbs(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for found in _entries(lines, _VERB):
        yield found["name"], found["text"].strip()


def usage_words(header: Header, line: str) -> list[str]:
    """Return the words of a usage line after the command: `NAME`, `check`, `NAME...`.

    Left out are brackets, options and `words`, which stand for anything; `--` stays.
    """
    words = [word for word in _USAGE_WORD.findall(line) if word not in "[]"]
    count = len(header.name.split())
    return [
        word
        for word in words[count:]
        if word == "--" or not (word in {"options", "words"} or word.startswith("-"))
    ]


def read_header(path: Path) -> Header:
    """Return the header of a launcher; one that is a link shows its target's."""
    return parse_header(path.resolve().name, path.read_text(encoding="utf-8"))


def read_all(folder: Path) -> dict[str, Header]:
    """Return the headers of all launchers by the names they are typed with, sorted."""
    return {path.name: read_header(path) for path in sorted(folder.iterdir())}


def nouns(headers: Mapping[str, Header]) -> dict[str, dict[str, str]]:
    """Return the dispatchers, each with its verbs and the command behind each."""
    return {
        noun: {
            name.removeprefix(f"{noun}-"): name
            for name in headers
            if name.startswith(f"{noun}-")
        }
        for noun, header in headers.items()
        if header.is_dispatcher
    }
