"""Makes one HTML page of a report, with charts as inline SVG, that needs nothing else.

The page has colours for light and for dark screens.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from ds01.core.text import span
from ds01.usage.charts import charts
from ds01.usage.report import Report
from ds01.usage.words import Table, hours, tables, title

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1c1f24; --soft: #5b6470;
  --grid: #d9dde3; --line: #b3261e; --s1: #1f6fb2; --s2: #d4691a; --s3: #14866d;
  --s4: #b0498f; --s5: #9a7400; --s6: #3f86c9; --s7: #7462c4; --s8: #7a828c; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171c; --ink: #e8eaed;
  --soft: #a3acb8; --grid: #343a43; --line: #ff8a80; --s1: #6db3f2; --s2: #f0a060;
  --s3: #4cc9a7; --s4: #e18cc8; --s5: #d9b44a; --s6: #a8d0f5; --s7: #b0a2f0;
  --s8: #aab2bd; } }
body { background: var(--paper); color: var(--ink); margin: 0 auto; padding: 1.5rem;
  max-width: 72rem; font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p.when, p.note, figcaption { color: var(--soft); margin: .25rem 0; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr));
  gap: 1rem; margin: 1.5rem 0; } dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
figure { margin: 0; } svg { width: 100%; height: auto; display: block; }
div.wide { overflow-x: auto; } table { border-collapse: collapse;
  width: 100%; font-size: .87rem; }
th, td { text-align: right; padding: .3rem .45rem; border-bottom: 1px solid var(--grid);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th.word, td.word { text-align: left; }
@media print { :root { --paper: #ffffff; --ink: #000000; } body { padding: 0; } }
"""


def page(report: Report) -> str:
    """Return the page."""
    begin, end = report.begin, report.end
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title(begin, end))}</title><style>{STYLE}</style></head><body>",
        f"<h1>GPU report</h1><p class=when>{_text(title(begin, end))}</p>",
        *(f"<p class=note>{_text(note)}</p>" for note in report.notes),
        _figures(report),
        *charts(report),
        *(_table(table) for table in tables(report)),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _text(value: object) -> str:
    return html.escape(str(value))


def _figures(report: Report) -> str:
    """Return the few numbers that stand at the top."""
    total, back = report.total, report.reclaimed
    waited = sorted(total.waited)
    shown = [
        ("GPU-hours granted", hours(total.granted)),
        ("GPU-hours used", hours(total.used)),
        ("held while stopped", hours(total.held)),
        ("longest wait", span(waited[-1]) if waited else "none"),
        ("requests refused", str(total.refused)),
        ("idle GPU-hours ended", hours(back.idle)),
    ]
    items = "".join(
        f"<div><dt>{_text(k)}</dt><dd>{_text(v)}</dd></div>" for k, v in shown
    )
    return f"<dl>{items}</dl>"


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    words = [index in table.words for index in range(len(table.header))]

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=word' if is_word else ''}>{_text(cell or '–')}</{tag}>"
            for cell, is_word in zip(row, words, strict=True)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in table.rows)
    head = f"<tr>{cells('th', [cell.lower() for cell in table.header])}</tr>"
    return (
        f"<h2>{_text(table.title)}</h2><div class=wide><table><thead>{head}</thead>"
        f"<tbody>{body}</tbody></table></div>"
    )
