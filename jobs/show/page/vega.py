"""A panel as a Vega-Lite specification; colours that follow the page's ground are 'currentColor'.

https://vega.github.io/vega-lite/. Not covered: drawing, which the page's script does with the library shipped in it.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from zoospectra.jobs.show.figures.palette import MOST, colour, elided
from zoospectra.jobs.show.figures.record import Axis, Mark, Panel
from zoospectra.jobs.show.plain import plain

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""A name, never fetched."""
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right")
"""As palette.MARKERS has them for matplotlib, in the same order."""
LETTERS = 38
"""Of a line beside an axis: what a phone shows."""
FOREGROUND, GREY = "currentColor", "#808080"


def panel_spec(panel: Panel, description: str) -> dict[str, Any]:
    """The specification of one panel; `description` is its alternative text."""
    spec: dict[str, Any] = {
        "$schema": SCHEMA,
        "width": "container",
        "height": _height(panel),
        "description": description,
    }
    if panel.title:
        spec["title"] = plain(panel.title.replace("\n", ": "))
    layers = [layer for mark in panel.marks for layer in LAYERS[mark.kind](mark, panel)]
    zoom = {"name": "zoom", "select": "interval", "bind": "scales"}
    both = [layer for layer in layers if {"x", "y"} <= layer["encoding"].keys()]
    if both and not panel.x.categories and not panel.y.categories:
        both[0]["params"] = [zoom]
    return {**spec, "layer": layers}


def _height(panel: Panel) -> int:
    return max(260, 40 + 18 * len(panel.y.categories))


def _channel(axis: Axis, name: str) -> dict[str, Any]:
    """The encoding of one axis."""
    look: dict[str, Any] = {"title": textwrap.wrap(plain(axis.label), LETTERS)}
    scale: dict[str, Any] = {"zero": False, "nice": False, "padding": 6}
    if name == "x":  # labels of four digits stay apart
        look["axis"] = {"tickCount": {"expr": "ceil(width / 75)"}, "labelOverlap": True, "labelSeparation": 6}
    if axis.log:
        scale = {"type": "log", "nice": False, "padding": 6}
        look["axis"] = {"format": ".0~e", "tickCount": 4, "grid": False, "labelOverlap": True}
    if axis.high is not None:
        scale |= {"domain": [0, axis.high], "padding": 0}
    if axis.categories:
        last = len(axis.categories) - 0.4
        scale |= {"domain": [-0.6, last], "reverse": name == "y", "padding": 0}
        names = [elided(plain(category), 40) for category in axis.categories]
        look["axis"] = {
            "values": list(range(len(names))),
            "labelExpr": f"{_literal(names)}[datum.value]",
            "grid": False,
        }
        look["axis"] |= {"labelLimit": 300, "labelAngle": 0 if name == "y" else -30}
    return {"type": "quantitative", "scale": scale, **look}


def _literal(names: list[str]) -> str:
    """Texts as an array of Vega's expression language."""
    quoted = ("'" + "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in name) + "'" for name in names)
    return f"[{','.join(quoted)}]"


def _colour(mark: Mark) -> str:
    return colour(mark.colour, FOREGROUND, GREY)


def _finite(value: float) -> float | None:
    """A number that JSON has, to seven digits."""
    return float(f"{value:.7g}") if math.isfinite(value) else None


def _data(**columns: Any) -> dict[str, Any]:  # noqa: ANN401 - sequences of numbers and texts
    rows = zip(*columns.values(), strict=True)
    values = [[_finite(cell) if isinstance(cell, float) else cell for cell in row] for row in rows]
    return {"data": {"values": [dict(zip(columns, row, strict=True)) for row in values]}}


def _places(panel: Panel) -> dict[str, Any]:
    return {"x": {"field": "x", **_channel(panel.x, "x")}, "y": {"field": "y", **_channel(panel.y, "y")}}


def _points(mark: Mark, panel: Panel) -> list[dict[str, Any]]:
    shape = SHAPES[mark.colour % MOST] if mark.colour >= 0 else "circle"
    names = [plain(name) for name in mark.names] or [plain(mark.label)] * len(mark.x)
    tooltip = [
        {"field": "name", "type": "nominal", "title": "name"},
        {"field": "x", "type": "quantitative", "title": plain(panel.x.label), "format": ".5~g"},
        {"field": "y", "type": "quantitative", "title": plain(panel.y.label), "format": ".5~g"},
    ]
    look = {"type": "point", "filled": True, "shape": shape, "color": _colour(mark), "size": 45, "opacity": 0.85}
    encoding = {**_places(panel), "tooltip": tooltip}
    return [
        {**_data(x=mark.x, y=mark.y, name=names), "mark": {**look, "clip": True, "aria": False}, "encoding": encoding}
    ]


def _line(mark: Mark, panel: Panel) -> list[dict[str, Any]]:
    look: dict[str, Any] = {"type": "line", "color": _colour(mark), "strokeWidth": 1.8, "clip": True, "aria": False}
    if mark.dashed:
        look["strokeDash"] = [5, 3]
    return [{**_data(x=mark.x, y=mark.y), "mark": look, "encoding": _places(panel)}]


def _band(mark: Mark, panel: Panel) -> list[dict[str, Any]]:
    look = {"type": "area", "color": _colour(mark), "opacity": 0.15, "clip": True, "aria": False}
    encoding = {**_places(panel), "y2": {"field": "y2"}}
    return [{**_data(x=mark.x, y=mark.low, y2=mark.high), "mark": look, "encoding": encoding}]


def _bars(mark: Mark, panel: Panel) -> list[dict[str, Any]]:
    half = mark.width / 2
    low, high = [y - half for y in mark.y], [y + half for y in mark.y]
    names = [plain(name) for name in mark.names]
    data = _data(x=mark.x, y=low, y2=high, zero=[0.0] * len(low), name=names)
    tooltip = [{"field": "name", "type": "nominal"}, {"field": "x", "type": "quantitative", "format": ".4~g"}]
    encoding = {**_places(panel), "y2": {"field": "y2"}, "x2": {"field": "zero"}, "tooltip": tooltip}
    return [{**data, "mark": {"type": "rect", "color": _colour(mark), "aria": False}, "encoding": encoding}]


def _steps(mark: Mark, panel: Panel) -> list[dict[str, Any]]:
    """The outline of a histogram: the last edge closes it."""
    y = (*mark.y, mark.y[-1])
    look: dict[str, Any] = {"type": "line", "interpolate": "step-after", "color": _colour(mark), "strokeWidth": 1.8}
    look |= {"clip": True, "aria": False}
    if mark.dashed:
        look["strokeDash"] = [5, 3]
    return [{**_data(x=mark.x, y=y), "mark": look, "encoding": _places(panel)}]


def _rule(mark: Mark, panel: Panel) -> list[dict[str, Any]]:
    return _ruled(mark, {"x": {"field": "x", **_channel(panel.x, "x")}}, _data(x=mark.x))


def _level(mark: Mark, panel: Panel) -> list[dict[str, Any]]:
    return _ruled(mark, {"y": {"field": "y", **_channel(panel.y, "y")}}, _data(y=mark.y))


def _ruled(mark: Mark, encoding: Mapping[str, Any], data: Mapping[str, Any]) -> list[dict[str, Any]]:
    look = {"type": "rule", "color": _colour(mark), "strokeDash": [5, 3] if mark.dashed else [1, 0], "aria": False}
    return [{**data, "mark": {**look, "clip": True}, "encoding": dict(encoding)}]


def _text(mark: Mark, panel: Panel) -> list[dict[str, Any]]:
    data = _data(x=mark.x, y=mark.y, name=[plain(name) for name in mark.names])
    encoding = {**_places(panel), "text": {"field": "name", "type": "nominal"}}
    return [{**data, "mark": {"type": "text", "color": FOREGROUND, "aria": False}, "encoding": encoding}]


LAYERS: Mapping[str, Callable[[Mark, Panel], list[dict[str, Any]]]] = {
    "points": _points,
    "line": _line,
    "band": _band,
    "bars": _bars,
    "steps": _steps,
    "rule": _rule,
    "level": _level,
    "text": _text,
}
"""How each kind of mark is specified."""
