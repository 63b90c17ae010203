"""Write a command's header as a man page, in the macros of man(7)."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from ds01.help.header import Header, nouns

_UPPER = re.compile(r"\b([A-Z][A-Z0-9_-]+)\b")


def escaped(text: str) -> str:
    """Return text that roff prints as it stands; a dash stays one that can be typed."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    # Groff makes curly quotes and accents of these.
    text = text.replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha")
    text = text.replace("~", "\\(ti")
    return f"\\&{text}" if text.startswith(".") else text


def _emphasised(text: str) -> str:
    """Return words of a usage: what the user replaces is in italics."""
    return _UPPER.sub(lambda found: f"\\fI{found[1]}\\fR", escaped(text))


def _filled(text: str) -> Iterator[str]:
    """Yield running text in lines that an editor shows whole."""
    for line in textwrap.wrap(text, 70, break_long_words=False, break_on_hyphens=False):
        yield escaped(line)


def _block(lines: Sequence[str]) -> Iterator[str]:
    yield from (".RS 4", ".nf", *(escaped(line) for line in lines), ".fi", ".RE")


def _synopsis(header: Header) -> Iterator[str]:
    for index, line in enumerate(header.usage):
        if index:
            yield ".br"
        name, _, rest = line.partition(" ")
        yield f"\\fB{escaped(name)}\\fR {_emphasised(rest)}".rstrip()


def roff(
    header: Header,
    headers: Mapping[str, Header],
    version: str,
    exits: Sequence[tuple[str, str]],
) -> str:
    """Return a command's man page; `exits` are the codes and what they mean."""
    name, behind = header.name, nouns(headers).get(header.name, {})
    # The date is left to the version: a page differs only where its header does.
    lines = [f'.TH {escaped(name.upper())} 1 "" "DS01 {version}" "DS01"']
    names = [name, *(t for t, each in headers.items() if each.name == name != t)]
    lines += [".SH NAME"]
    lines.append(f"{escaped(', '.join(names))} \\- {escaped(header.summary)}")
    lines += [".SH SYNOPSIS", *_synopsis(header)]
    if header.text:
        lines.append(".SH DESCRIPTION")
        for index, paragraph in enumerate(header.text):
            if paragraph.startswith(" "):
                lines += _block(paragraph.splitlines())
            else:
                lines += [".PP"] if index else []
                lines += _filled(paragraph)
    if behind:
        lines.append(".SH COMMANDS")
        for verb, command in behind.items():
            lines += [".TP", f"\\fB{escaped(verb)}\\fR"]
            lines += _filled(headers[command].summary)
    if header.verbs:
        lines.append(".SH VERBS")
        for verb, text in header.verbs:
            lines += [".TP", f"\\fB{escaped(verb)}\\fR", *_filled(text)]
    lines.append(".SH OPTIONS")
    for option in header.options:
        shown = ", ".join(f"\\fB{escaped(each)}\\fR" for each in option.names)
        value = option.words[len(", ".join(option.names)) :]
        lines += [".TP", shown + _emphasised(value), *_filled(option.text)]
    for title, body in header.others.items():
        lines += [f".SH {escaped(title.upper())}", *_block(body)]
    lines.append(".SH EXIT STATUS")
    for code, meaning in exits:
        lines += [".TP", code, *_filled(meaning)]
    lines += [".SH EXAMPLES", *_block(header.examples)]
    related = [
        other
        for other, each in headers.items()
        if other != name
        and other == each.name
        and other.partition("-")[0] == name.partition("-")[0]
    ]
    if related:
        lines.append(".SH SEE ALSO")
        lines.append(",\n".join(f"\\fB{escaped(each)}\\fR(1)" for each in related))
    return "\n".join(lines) + "\n"
