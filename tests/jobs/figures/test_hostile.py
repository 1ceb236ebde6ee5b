"""Names from outside are text on a figure: no markup, no formula, no control character, in any script."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pyarrow as pa
import pytest

from zoospectra.jobs.show.figures.bars import bars, strength
from zoospectra.jobs.show.figures.counts import counts
from zoospectra.jobs.show.figures.depth import depth
from zoospectra.jobs.show.figures.draw import render
from zoospectra.jobs.show.figures.quality import quality

pytest.importorskip("matplotlib")
NAMES = (
    "</text><script>alert(1)</script>",
    r"$\frac{1}{0}$",
    "_a_b^{c}",
    "red\x1b[31m\n\x00",
    "\u202eevil",
    "模型",
    "%s {0} & \"'",
)


def table(names: tuple[str, ...] = NAMES) -> pa.Table:
    rows = [
        {"model_id": f"{name}{i}", "group": name, "profile": "p$_1$", "dataset": "<b>d</b>", "target": "$acc$"}
        | {"reported": float(i + j), "train": None, "alpha": float(i * i - j)}
        for j, name in enumerate(names)
        for i in range(4)
    ]
    return pa.Table.from_pylist(rows)


def texts(figure: bytes) -> str:
    root = ET.fromstring(figure)
    assert [element.tag for element in root.iter() if "script" in str(element.tag)] == []
    return "\n".join("".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text"))


def test_names_stand_as_they_are() -> None:
    said = texts(render(quality(table())))
    for name in (
        "</text><script>alert(1)</script>",
        r"$\frac{1}{0}$",
        "a_b^{c}",
        r"red\x1b[31m\n\x00",
        r"\u202eevil",
        "模型",
    ):
        assert f"{name}: n 4" in said
    assert "p$_1$" in said
    assert "<b>d</b>" in said
    assert "\x1b" not in said


def test_other_figures_too() -> None:
    made = [bars(strength(table(), ["alpha"]))]
    counted = {"group": list(NAMES), "dataset": ["$d$"] * len(NAMES), "n": [1] * len(NAMES)}
    made.append(counts(pa.table(counted)))
    layers = {
        "model_id": [NAMES[0]] * 4,
        "profile": ["p"] * 4,
        "longname": list(NAMES[:4]),
        "alpha": [1.0, 2.0, 3.0, 4.0],
    }
    made.append(depth(pa.table(layers)))
    for figure in made:
        assert "script" in texts(render(figure))
    render(made[0], "pdf")
    render(made[0], "png")


@pytest.mark.parametrize("value", [1e300, 1e-300, 0.0, -5.0])
def test_values_of_any_size(value: float) -> None:
    rows = [
        {"model_id": str(i), "group": None, "profile": "p", "dataset": "d", "target": "t", "reported": value * (i % 3)}
        | {"train": None, "alpha": value * i}
        for i in range(6)
    ]
    assert "n 6" in texts(render(quality(pa.Table.from_pylist(rows))))
