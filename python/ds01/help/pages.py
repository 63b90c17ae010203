"""The pages about the commands, made from their headers, and where they are written."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ds01.core.errors import Exit, HelperError
from ds01.core.paths import PROJECT_ROOT
from ds01.help.header import Header, nouns, read_all
from ds01.help.roff import roff

Pages = dict[str, str]

_QUOTED = re.compile(r"(?<!\w)'([^'\n]+)'(?!\w)")
_MARKED = re.compile(r"[\\`*_<>\[\]]")
_EXIT_ROW = re.compile(r"\| (\d+) \| \w+ \| (.*) \|")
_NOTE = "<!-- Made by python/help_pages.py from bin/{}: edit that. -->"
_OTHERS = "Other commands"


def markdown(text: str) -> str:
    """Return a header's text as Markdown: what it has in quotes becomes code."""
    parts = _QUOTED.split(text)
    return "".join(
        f"`{part}`" if index % 2 else _MARKED.sub(r"\\\g<0>", part)
        for index, part in enumerate(parts)
    )


def _fenced(lines: Sequence[str], language: str = "") -> Iterator[str]:
    yield from (f"```{language}", *lines, "```", "")


def _items(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield from (f"- `{words}`: {markdown(text)}" for words, text in pairs)
    yield ""


def command_page(
    header: Header, also: Sequence[str], headers: Mapping[str, Header]
) -> str:
    """Return a command's page; `also` are the other names it is typed with."""
    lines = [_NOTE.format(header.name), "", f"# {header.name}", ""]
    lines += [f"{markdown(header.summary)}.", ""]
    lines += _fenced(header.usage)
    for paragraph in header.text:
        if paragraph.startswith(" "):
            lines += _fenced(paragraph.splitlines())
        else:
            lines += [markdown(paragraph), ""]
    if also:
        lines += [f"Also typed as {', '.join(f'`{name}`' for name in also)}.", ""]
    if header.verbs:
        lines += ["## Verbs", "", *_items(header.verbs)]
    behind = nouns(headers).get(header.name, {})
    if behind:
        lines += ["## Commands", ""]
        lines += [
            f"- [`{header.name} {verb}`]({headers[name].name}.md): "
            f"{markdown(headers[name].summary)}"
            for verb, name in behind.items()
        ]
        lines.append("")
    lines += ["## Options", "", *_items([(o.words, o.text) for o in header.options])]
    for title, body in header.others.items():
        lines += [f"## {title}", "", *_fenced(body)]
    lines += ["## Examples", "", *_fenced(header.examples, "sh")]
    lines += [
        "The exit codes are in [exit-codes.md](../exit-codes.md), "
        "all commands in [the index](README.md)."
    ]
    return "\n".join(lines) + "\n"


def _aliases(headers: Mapping[str, Header]) -> dict[str, list[str]]:
    """Return for each command the other names that it is typed with."""
    found: dict[str, list[str]] = {}
    for typed, header in headers.items():
        names = found.setdefault(header.name, [])
        if typed != header.name:
            names.append(typed)
    return found


def grouped(headers: Mapping[str, Header]) -> dict[str, list[Header]]:
    """Return the commands by dispatcher, those without one at the end."""
    found: dict[str, list[Header]] = {}
    rest: list[Header] = []
    behind = nouns(headers)
    for name, header in headers.items():
        if name != header.name:
            continue
        noun = name.partition("-")[0]
        group = found.setdefault(noun, []) if noun in behind else rest
        group.append(header)
    return found | {_OTHERS: rest} if rest else found


def docs_pages(headers: Mapping[str, Header]) -> Pages:
    """Return the files of docs/commands."""
    also = _aliases(headers)
    pages = {
        f"{header.name}.md": command_page(header, also[header.name], headers)
        for header in headers.values()
    }
    lines = [_NOTE.format("*"), "", "# Commands", ""]
    lines += [
        "`COMMAND --help` prints the same, and so does `man COMMAND` where DS01 is "
        "installed. `container run` is `container-run`, and so on.",
        "",
    ]
    for title, group in grouped(headers).items():
        lines += [f"## {title}", ""]
        for header in group:
            others = "".join(f", `{name}`" for name in also[header.name])
            lines.append(
                f"- [`{header.name}`]({header.name}.md){others}: "
                f"{markdown(header.summary)}"
            )
        lines.append("")
    return {**pages, "README.md": "\n".join(lines).rstrip() + "\n"}


def exit_rows(text: str) -> list[tuple[str, str]]:
    """Return code and meaning of each row in the table of docs/exit-codes.md."""
    return _EXIT_ROW.findall(text)


def quoted_fish(text: str) -> str:
    """Return a text as one word of fish, which knows two escapes in single quotes."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def completion(template: str, root: str, names: Sequence[str], *, fish: bool) -> str:
    """Return a shell's completion file for commands whose program is in `root`."""
    quoted = quoted_fish(root) if fish else shlex.quote(root)
    text = template.replace("@ROOT@", quoted)
    return text.replace("@COMMANDS@", " ".join(names))


def share_pages(
    headers: Mapping[str, Header],
    root: str,
    version: str,
    exits: Sequence[tuple[str, str]],
    templates: Mapping[str, str],
) -> Pages:
    """Return an installation's man pages and completion, by path below `share`.

    bash and fish look for a file of the command's name, zsh reads all of them.
    """
    names = list(headers)
    pages = {}
    for typed, header in headers.items():
        pages[f"man/man1/{typed}.1"] = roff(header, headers, version, exits)
        pages[f"bash-completion/completions/{typed}"] = completion(
            templates["bash"], root, names, fish=False
        )
        pages[f"fish/vendor_completions.d/{typed}.fish"] = completion(
            templates["fish"], root, [typed], fish=True
        )
    pages["zsh/site-functions/_ds01"] = completion(
        templates["zsh"], root, names, fish=False
    )
    return pages


def write(folder: Path, pages: Pages) -> None:
    """Write files below a folder."""
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def differences(folder: Path, pages: Pages) -> list[str]:
    """Return which files of a folder are missing, not made from a header, or other."""
    found = {path.name for path in folder.glob("*.md")}
    wrong = sorted(found - set(pages))
    for name, text in sorted(pages.items()):
        if name not in found or (folder / name).read_text(encoding="utf-8") != text:
            wrong.append(name)
    return wrong


def do_docs(words: argparse.Namespace) -> int:
    """Write docs/commands; remove pages of commands that are gone."""
    pages = docs_pages(read_all(PROJECT_ROOT / "bin"))
    for name in differences(words.folder, pages):
        if name not in pages:
            (words.folder / name).unlink()
    write(words.folder, pages)
    return Exit.OK


def do_check(words: argparse.Namespace) -> int:
    """Compare docs/commands with the headers."""
    wrong = differences(words.folder, docs_pages(read_all(PROJECT_ROOT / "bin")))
    if wrong:
        raise HelperError(
            Exit.CONFIG,
            f"not as the headers in bin say: {', '.join(wrong)}",
            "run 'python3 python/help_pages.py docs'",
        )
    return Exit.OK


def do_share(words: argparse.Namespace) -> int:
    """Write the man pages and the completion."""

    def text(name: str) -> str:
        return (PROJECT_ROOT / name).read_text(encoding="utf-8")

    shells = ("bash", "zsh", "fish")
    pages = share_pages(
        read_all(PROJECT_ROOT / "bin"),
        words.root,
        text("VERSION").strip(),
        exit_rows(text("docs/exit-codes.md")),
        {shell: text(f"templates/completion.{shell}") for shell in shells},
    )
    write(words.folder, pages)
    return Exit.OK
