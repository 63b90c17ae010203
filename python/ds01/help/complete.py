"""What the word under the cursor may be, by the header of the command."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ds01.core.paths import PROJECT_ROOT
from ds01.help.header import Header, nouns, read_all, read_header, usage_words

LAUNCHERS = PROJECT_ROOT / "bin"
SECONDS = 1.0

Candidate = tuple[str, str]


@dataclass(frozen=True)
class Slot:
    """What may stand at the cursor: names such as `NAME` or `DIR` that the header gives
    it, and words that are given. `before` is what of the word stays: `--gpus=`."""

    names: tuple[str, ...] = ()
    words: tuple[Candidate, ...] = ()
    before: str = ""


@dataclass
class Typed:
    """The words before the cursor, sorted out by a header."""

    verb: str
    values: dict[str, list[str]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    options: set[str] = field(default_factory=set)
    waiting: str = ""
    last: str = ""
    past_options: bool = False


def sort_out(header: Header, words: Sequence[str]) -> Typed:
    """Return the words before the cursor as options, their values, and the others."""
    typed = Typed(header.name.rpartition("-")[2])
    for word in words:
        if typed.waiting:
            typed.values.setdefault(typed.waiting, []).append(word)
            typed.waiting = ""
        elif typed.past_options or not word.startswith("-") or word == "-":
            typed.words.append(word)
        elif word == "--":
            typed.past_options = True
            typed.words.append(word)
        else:
            name, equals, value = word.partition("=")
            option = header.option(name)
            if option is None:
                continue
            if not option.is_repeatable:
                typed.options.update(option.names)
            if equals:
                typed.values.setdefault(meaning(option.value, option.long), []).append(
                    value
                )
            elif option.value and not option.value_is_optional:
                typed.waiting = meaning(option.value, option.long)
                typed.last = name
    return typed


def meaning(value: str, option: str) -> str:
    """Return what an option's value is: `--framework NAME` is a FRAMEWORK."""
    return option.upper().replace("-", "_") if value == "NAME" else value


def follow(
    line: Sequence[str], words: Sequence[str]
) -> tuple[str, dict[str, list[str]]]:
    """Return what a usage line has at the place after some words (or nothing), and what
    it calls those words."""
    called: dict[str, list[str]] = {}
    place = 0
    for word in words:
        if word == "--":
            place = line.index("--") + 1 if "--" in line else place
            continue
        if place >= len(line):
            return "", {}
        expected = line[place]
        if expected == "--" or (is_literal(expected) and word != expected):
            return "", {}
        called.setdefault(expected.rstrip("."), []).append(word)
        if not expected.endswith("..."):
            place += 1
    found = line[place] if place < len(line) else ""
    return ("" if found == "--" else found), called


def is_literal(word: str) -> bool:
    """Is a word of a usage line one to be typed as it stands?"""
    return word == word.lower() and word != "--"


def slot_at(header: Header, typed: Typed, current: str) -> Slot:
    """Return what may stand at the cursor; adds to what is known of earlier words."""
    if typed.waiting:
        option = header.option(typed.last)
        return _value(typed.waiting, option.choices if option else ())
    if current.startswith("-") and not typed.past_options:
        name, equals, _ = current.partition("=")
        option = header.option(name)
        if equals:
            if option is None or not option.value:
                return Slot()
            found = _value(meaning(option.value, option.long), option.choices)
            return Slot(found.names, found.words, f"{name}=")
        return Slot(words=tuple(_options(header, typed)))
    names: list[str] = []
    words: list[Candidate] = []
    texts = dict(header.verbs)
    for line in header.usage:
        expected, called = follow(usage_words(header, line), typed.words)
        if not expected:
            continue
        if is_literal(expected):
            words.append((expected, texts.get(expected, "")))
            continue
        names.append(expected.rstrip("."))
        for name, given in called.items():
            typed.values.setdefault(name, given)
    if not names and not words and not typed.past_options:
        words += _options(header, typed)
    return Slot(tuple(dict.fromkeys(names)), tuple(dict.fromkeys(words)))


def _value(name: str, choices: Sequence[str]) -> Slot:
    """Return what an option's value may be: named words are all that there is."""
    words = name.split("|") if "|" in name else choices
    return Slot(words=tuple((word, "") for word in words)) if words else Slot((name,))


def _options(header: Header, typed: Typed) -> Iterator[Candidate]:
    for option in header.options:
        for name in option.names:
            if name not in typed.options:
                # A value that may be left out can only follow the sign.
                yield name, option.text
                if option.value_is_optional:
                    yield f"{name}=", option.text


def answer(header: Header, words: Sequence[str]) -> Iterator[str]:
    """Yield the lines for the words after a command, the last being typed."""
    typed = sort_out(header, words[:-1])
    slot = slot_at(header, typed, words[-1])
    current = words[-1].removeprefix(slot.before)
    yield from lines(slot.words, current, slot.before)
    if not slot.names:
        return
    # Here, because options and verbs need nothing of this.
    from ds01.help.words import FILES, candidates  # noqa: PLC0415

    for name in slot.names:
        # Where it does not stand behind `--` it is no program of the user's.
        if name in FILES and (name != "COMMAND" or typed.past_options):
            yield FILES[name]
    given = typed.values
    found = candidates(header.name, slot.names, given)
    yield from lines(found, current, slot.before)


def lines(found: Iterable[Candidate], current: str, before: str = "") -> Iterator[str]:
    """Yield the candidates that begin with what is typed, as lines."""
    for word, text in found:
        if word.startswith(current) and word.isprintable():
            short = text if len(text) <= 60 else text[:59].rstrip() + "…"
            yield f"{before}{word}\t{short}"


def complete(words: Sequence[str], folder: Path = LAUNCHERS) -> Iterator[str]:
    """Yield the lines for a command line up to the cursor."""
    command = words[0].rpartition("/")[2]
    header = read_header(folder / command)
    if not header.is_dispatcher:
        yield from answer(header, words[1:])
        return
    headers = read_all(folder)
    verbs = nouns(headers)[header.name]
    if len(words) > 2:
        if words[1] in verbs:
            yield from answer(headers[verbs[words[1]]], words[2:])
        return
    if words[1].startswith("-"):
        yield from answer(header, words[1:])
    known = [(verb, headers[name].summary) for verb, name in verbs.items()]
    yield from lines(known, words[1])


def _leave(*_: object) -> None:
    os._exit(0)
