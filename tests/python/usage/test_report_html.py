"""usage/html.py and usage/charts.py: one page that needs nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ds01.core.errors import Exit, HelperError
from ds01.show import report
from ds01.usage import charts as usage_charts
from ds01.usage import html as usage_html
from ds01.usage.days import Use
from ds01.usage.html import page
from ds01.usage.report import Reclaimed, Refused, Report, Row, group_rows, sum_rows

END = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
BEGIN = END - timedelta(days=2)
EVIL = "<script>alert('x')</script> & $a$ \u202e"

USERS = (
    Row("alice", "student", 1, granted=9e4, held=1e4, use=Use(5e4, 2e4, 5e4, 1e4)),
    Row(EVIL, "staff", 2, granted=4e4, waited=(30.0, 4000.0, 9e4), refused=3),
)
REPORT = Report(
    begin=BEGIN,
    end=END,
    users=USERS,
    groups=tuple(group_rows(USERS)),
    total=sum_rows(USERS, "total"),
    refused=(Refused("max_gpus", 3, 1), Refused(EVIL, 1, 1)),
    reclaimed=Reclaimed({"idle_timeout": 2}, 7200.0, 1.0),
    waiting=1,
    edges=(BEGIN, BEGIN + timedelta(days=1), END),
    series={"student": (5e4, 4e4), "staff": (1e4, 3e4)},
    capacity=2.0,
)

# Loaded only once per process, since it takes half a second.
PAGE = page(REPORT)


class _Tags(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(text)
    return parser.found


def test_nothing_is_loaded_from_anywhere() -> None:
    found = tags(PAGE)
    names = {tag for tag, _ in found}
    assert not names & {"script", "link", "img", "iframe", "image", "object", "embed"}
    for _, attributes in found:
        for name, value in attributes.items():
            if name in {"src", "href", "xlink:href", "data", "action"}:
                assert (value or "").startswith("#")
    assert "@import" not in PAGE
    assert not re.search(r"url\((?!#)", PAGE)
    # What is left of the net are names of XML, which nothing fetches.
    assert set(re.findall(r"https?://[^\"' <]+", PAGE)) == {
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/svg",
    }


def test_names_are_text_and_no_formula_or_markup() -> None:
    assert "<script" not in PAGE
    assert PAGE.count("&lt;script&gt;alert(") >= 3
    assert "$a$" in PAGE


def test_every_chart_is_an_svg_with_a_name_of_its_own() -> None:
    charts = re.findall(r"<svg .*?</svg>", PAGE, flags=re.DOTALL)
    assert len(charts) == 4
    for chart in charts:
        root = ElementTree.fromstring(chart)  # noqa: S314 - our own
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert root.get("viewBox")
        assert root.get("width") is None
    ids = [a["id"] for _, a in tags(PAGE) if "id" in a]
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:url\(#|href="#)([^)"]+)', PAGE)
    assert used
    assert set(used) <= set(ids)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG defines it."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (
            p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
        )
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_both_themes_are_legible_and_charts_use_their_colours(theme: int) -> None:
    blocks = re.findall(r":root \{([^}]*--paper[^}]*--s8[^}]*)\}", usage_html.STYLE)
    assert len(blocks) == 2
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", blocks[theme]))
    paper = colours.pop("paper")
    for name, colour in colours.items():
        least = {"ink": 12, "soft": 4.5, "grid": 1.2}.get(name, 3)
        assert contrast(colour, paper) >= least, name
    svgs = "".join(re.findall(r"<svg .*?</svg>", PAGE, flags=re.DOTALL))
    # Every colour of a chart is the page's.
    assert not re.search(r"#[0-9a-f]{6}", svgs)
    assert set(re.findall(r"var\(--(\w+)\)", svgs)) <= set(colours)


def test_the_parts_of_a_bar_are_the_granted_time() -> None:
    parts = {label: values for label, _, values in usage_charts._parts(USERS)}
    assert parts == {
        "used": [2e4, 0],
        "not used": [3e4, 0],
        "not measured": [3e4, 4e4],
        "held while stopped": [1e4, 0],
    }


def test_an_empty_report_is_a_page_too() -> None:
    empty = replace(
        REPORT,
        users=(),
        groups=(),
        refused=(),
        series={},
        total=Row("total", users=0),
        notes=("nothing & nobody",),
    )
    text = page(empty)
    assert "<svg" not in text
    assert "nothing &amp; nobody" in text


def test_the_same_report_gives_the_same_page() -> None:
    assert page(REPORT) == PAGE


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(HelperError, match="cannot be written") as caught:
        report.write_page(str(tmp_path / "no/page.html"), PAGE)
    assert caught.value.code == Exit.REFUSED
