r"""A page as one HTML file: style, script, library and data inside it, and a policy against all else.

Names from outside are escaped in HTML, and in data written as \u003c: '</script>' in a name ends nothing. Scripts run
by their hash alone (Content-Security-Policy), expressions in Vega's interpreter. Without a script the tables remain.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources
from typing import Any

import pyarrow as pa

from zoospectra.jobs.show.figures.palette import colour
from zoospectra.jobs.show.figures.record import GREY, Figure, Panel
from zoospectra.jobs.show.page.record import Page, Section
from zoospectra.jobs.show.page.vega import panel_spec
from zoospectra.jobs.show.plain import plain

MISSING = "a report needs Vega-Lite: pip install 'zoospectra[figures]'"
MOST_ROWS = 1000
"""Of a table on a page; the caption says how many there are."""
FEW_ROWS = 40
"""Of a table that stands open where nothing else shows its numbers."""
CONTROLS = {
    "profile": "Profile",
    "target": "Reported number",
    "metric": "Metric",
    "grouping": "Group by",
    "group": "Group",
    "direction": "Direction",
}
"""Of the figure with controls."""


def available() -> bool:
    """Whether the library that a page ships can be had."""
    from importlib.util import find_spec

    return find_spec("vl_convert") is not None


@cache
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; ValueError when vl-convert-python is missing."""
    if not available():
        raise ValueError(MISSING)
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script").replace("<!--", "\\x3c!--")


def html(page: Page) -> str:
    """The file; the same page gives the same bytes."""
    specs: list[dict[str, Any]] = []
    data: dict[str, Any] = {}
    body = "".join(_section(section, f"s{i}", specs, data) for i, section in enumerate(page.sections))
    style, script = (_file(name) for name in ("page.css", "page.js"))
    scripts = [library(), script]
    blocks = "".join(_data(name, value) for name, value in {"specs": specs, **data}.items())
    links = "".join(f'<li><a href="#s{i}">{_text(s.title)}</a></li>' for i, s in enumerate(page.sections))
    title = _text(page.title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{title}</title>\n<link rel="icon" href="data:,">\n<style>\n{style}</style>\n</head>\n<body>\n'
        f'<header><h1>{title}</h1><p class="quiet">{_text(page.subtitle)}</p>'
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n<main>\n{body}</main>\n'
        f"<noscript><p>Without scripts the figures are not drawn; their numbers are in the tables.</p></noscript>\n"
        f"{blocks}{''.join(f'<script>{text}</script>' for text in scripts)}\n</body>\n</html>\n"
    )


def _file(name: str) -> str:
    return (resources.files("zoospectra.jobs.show.page") / name).read_text()


def _policy(scripts: Sequence[str]) -> str:
    """Nothing but these scripts, by hash; styles of the page; no network at all."""
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    closed = "default-src 'none'; connect-src 'none'; base-uri 'none'; form-action 'none'; img-src data:"
    return f"{closed}; style-src 'unsafe-inline'; script-src {allowed}"


def _data(name: str, value: Any) -> str:  # noqa: ANN401 - JSON
    """A block of data that no text in it can end."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def _text(text: str) -> str:
    return escape(plain(text))


def _section(section: Section, name: str, specs: list[dict[str, Any]], data: dict[str, Any]) -> str:
    parts = [f'<section id="{name}" aria-labelledby="{name}-h"><h2 id="{name}-h">{_text(section.title)}</h2>\n']
    parts += [f"<p>{_text(sentence)}</p>\n" for sentence in section.sentences]
    if section.explorer is not None:
        data[f"{name}-data"] = section.explorer
        parts.append(_explorer(f"{name}-data"))
    if section.choice:
        options = "".join(f"<option>{_text(figure.title)}</option>" for figure in section.figures)
        select = f'<select data-choice="{name}-figures">{options}</select>'
        parts.append(f'<form class="controls"><label>{_text(section.choice)}{select}</label></form>\n')
    figures = "".join(_figure(figure, specs) for figure in section.figures)
    parts.append(f'<div id="{name}-figures">{figures}</div>\n' if figures else "")
    few = not section.figures and section.explorer is None
    parts += [_table(caption, table, few) for caption, table in (section.tables or {}).items()]
    return "".join([*parts, "</section>\n"])


def _figure(figure: Figure, specs: list[dict[str, Any]]) -> str:
    panels = "".join(_panel(figure, panel, specs) for panel in figure.panels)
    single = " single" if len(figure.panels) == 1 else ""
    tables = "".join(_table(f"Numbers: {figure.title}: {name}", table) for name, table in figure.tables.items())
    return (
        f'<figure aria-label="{_text(figure.title)}"><h3>{_text(figure.title)}</h3>'
        f'<div class="panels{single}">{panels}</div>{_legend(figure)}'
        f"<figcaption>{_text(figure.caption)}</figcaption>{tables}</figure>\n"
    )


def _panel(figure: Figure, panel: Panel, specs: list[dict[str, Any]]) -> str:
    if panel.note or not panel.marks:
        return f'<div class="panel"><p class="note">{_text(panel.note or "nothing to draw")}</p></div>'
    words = ": ".join(text for text in (figure.title, panel.title.replace("\n", ": ")) if text)
    specs.append(panel_spec(panel, plain(f"{words}; {panel.y.label} against {panel.x.label}")))
    return f'<div class="panel" data-spec="{len(specs) - 1}"></div>'


def _legend(figure: Figure) -> str:
    """Labels with their colours, each once."""
    marks = {mark.label: mark for panel in figure.panels for mark in panel.marks if mark.label}
    shades = {mark.colour: colour(mark.colour, "currentColor", "#808080") for mark in marks.values()}
    items = ""
    for label, mark in marks.items():
        if mark.colour != GREY or mark.kind != "points":
            swatch = f'<span class="swatch" style="background:{shades[mark.colour]}"></span>'
            items += f"<li>{swatch}{_text(label)}{' (dashed)' if mark.dashed else ''}</li>"
    return f'<ul class="legend">{items}</ul>' if items else ""


def _explorer(name: str) -> str:
    controls = "".join(f'<label>{label}<select name="{key}"></select></label>' for key, label in CONTROLS.items())
    lines = _frame("Numbers: lines of the figure above", "", "lines", ("group", "n", "slope", "intercept", "R2", "tau"))
    points = _frame("Numbers: points of the figure above", "", "points", ("model", "group", "x", "y"))
    return (
        f'<div data-explorer="{name}"><form class="controls" aria-label="What the figure shows">{controls}</form>'
        '<p role="status" class="quiet"></p><div class="chart"></div><ul class="legend"></ul>'
        f"{lines}{points}</div>\n"
    )


def _table(caption: str, table: pa.Table, unfold: bool = False) -> str:
    """A table, folded unless it is small and to be unfolded; at most MOST_ROWS rows, and the caption says so."""
    shown = table.slice(0, MOST_ROWS)
    kinds = ["text" if not _numeric(field.type) else "" for field in table.schema]
    rows = "".join(f"<tr>{''.join(_cells(row, kinds))}</tr>" for row in shown.to_pylist())
    count = "1 row" if table.num_rows == 1 else f"{table.num_rows} rows"
    count += f", the first {MOST_ROWS}" if table.num_rows > MOST_ROWS else ""
    opened = unfold and 0 < table.num_rows <= FEW_ROWS
    return _frame(f"{caption} ({count})", rows, "", table.column_names, kinds, opened)


def _frame(
    caption: str, rows: str, name: str, columns: Sequence[str], kinds: Sequence[str] = (), opened: bool = False
) -> str:
    marks = kinds or [""] * len(columns)
    heads = "".join(
        f'<th scope="col"{_class(kind)}>{_text(column)}</th>' for column, kind in zip(columns, marks, strict=True)
    )
    label = _text(caption)
    return (
        f'<details{" open" if opened else ""}><summary>{label}</summary><div class="scroll" tabindex="0" role="region" '
        f'aria-label="{label}"><table><caption>{label}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody{_class(name)}>{rows}</tbody></table></div></details>\n"
    )


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _numeric(type_: pa.DataType) -> bool:
    return bool(pa.types.is_floating(type_) or pa.types.is_integer(type_))


def _cells(row: Mapping[str, Any], kinds: Sequence[str]) -> Iterator[str]:
    for i, (value, kind) in enumerate(zip(row.values(), kinds, strict=True)):
        text = "–" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)
        yield f'<th scope="row">{_text(text)}</th>' if i == 0 else f"<td{_class(kind)}>{_text(text)}</td>"
