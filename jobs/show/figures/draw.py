"""A figure drawn by matplotlib as SVG, PDF or PNG: at the width of a column, names as text, the same bytes every time.

Not covered: what is drawn (the other files of this folder), pages (jobs.show.page).
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zoospectra.jobs.show.figures.formats import check_format
from zoospectra.jobs.show.figures.palette import MARKERS, MOST, colour, elided
from zoospectra.jobs.show.figures.record import Axis, Figure, Mark, Panel
from zoospectra.jobs.show.plain import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

WIDTH, HEIGHT, HEIGHT_LETTERS = 3.5, 2.6, 36
"""Of a panel, in inches: a journal's column; and how many letters stand beside it."""
LEGEND_LINE = 0.155
"""Inches."""
MANY = 60
"""Points from which on markers and lines are smaller."""
MISSING = "figures need matplotlib: pip install 'zoospectra[figures]'"
STYLE: Any = {  # matplotlib's own type lists every key
    "text.parse_math": False,
    "text.usetex": False,
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "svg.fonttype": "none",
    "svg.hashsalt": "zoospectra",
    "pdf.fonttype": 42,
}
"""Names from outside stand as they are: '$' and '_' mean nothing."""


def available() -> bool:
    """Whether matplotlib can be imported."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def render(figure: Figure, format_: str = "svg") -> bytes:
    """The file of a figure; ValueError for an unknown format, and when matplotlib is missing."""
    check_format("format", format_)
    drawing = draw(figure)
    buffer = io.BytesIO()
    date = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[format_]
    metadata = {"Title": plain(figure.title), **date}
    with _style():
        drawing.savefig(buffer, format=format_, dpi=200, metadata=metadata, bbox_inches="tight", pad_inches=0.06)
    return buffer.getvalue()


def draw(figure: Figure) -> Drawing:
    """The figure as matplotlib's own object, for a notebook; ValueError when matplotlib is missing."""
    if not available():
        raise ValueError(MISSING)
    from matplotlib.figure import Figure as Drawing
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(figure.columns, len(figure.panels))
    rows = -(-len(figure.panels) // columns)
    width = WIDTH if columns == 1 else min(2.9 * columns, 7.4) if columns > 2 else 2 * WIDTH
    letters = int(13 * width)
    labels = list(dict.fromkeys(_label(mark) for panel in figure.panels for mark in panel.marks if mark.label))
    abreast = max(1, min(len(labels), 3, letters // (max(map(len, labels), default=0) + 6)))
    below = LEGEND_LINE * -(-len(labels) // abreast) + 0.08 if labels else 0.0  # inches
    caption = _wrapped(figure.caption, int(letters * 1.5))
    height = rows * _height(figure, width / columns) + below + 0.35
    with _style():
        layout = ConstrainedLayoutEngine(rect=(0.0, below / height, 1.0, 1.0 - below / height))
        drawing = Drawing(figsize=(width, height), layout=layout)
        for position, panel in enumerate(figure.panels):
            axes = drawing.add_subplot(rows, columns, position + 1)
            _panel(axes, panel, int(15 * width / columns))
            _share_labels(axes, figure.panels, position, columns)
        drawing.suptitle(_wrapped(figure.title, letters), fontsize=9, fontweight="bold")
        _legend(drawing, abreast, below / height)
        drawing.text(0.5, -0.03 / height, caption, va="top", ha="center", fontsize=6.5, color="#444444")
    return drawing


def _share_labels(axes: Axes, panels: Sequence[Panel], position: int, columns: int) -> None:
    """What the panel to the left or below says too is said once."""
    left = panels[position - 1].y if position % columns else None
    below = panels[position + columns].x if position + columns < len(panels) else None
    if left is not None and left.categories and left == panels[position].y:
        axes.tick_params(labelleft=False)
    if left == panels[position].y:
        axes.set_ylabel("")
    if below == panels[position].x:
        axes.set_xlabel("")


def _style() -> Any:  # noqa: ANN401 - a context of two contexts
    from contextlib import ExitStack

    import matplotlib as mpl

    stack = ExitStack()
    stack.enter_context(mpl.rc_context(STYLE))
    stack.enter_context(warnings.catch_warnings())
    warnings.filterwarnings("ignore", message="Glyph")  # a name in a script that the font does not have
    return stack


def _height(figure: Figure, width: float) -> float:
    """Inches of a row of panels: room for as many categories as one has."""
    most = max((len(panel.y.categories) for panel in figure.panels), default=0)
    return max(HEIGHT if width > 2.6 else 2.2, 0.6 + 0.17 * most)


def _panel(axes: Axes, panel: Panel, letters: int) -> None:
    axes.set_title(_wrapped(panel.title, letters))
    if panel.note:
        axes.text(0.5, 0.5, _wrapped(panel.note, letters), transform=axes.transAxes, ha="center", va="center")
        axes.set(xticks=[], yticks=[])
    for mark in panel.marks:
        MARKS[mark.kind](axes, mark)
    _axis(axes, "x", panel.x, letters)
    _axis(axes, "y", panel.y, letters)


def _axis(axes: Axes, which: str, axis: Axis, letters: int) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    getattr(axes, f"set_{which}label")(_wrapped(axis.label, letters if which == "x" else HEIGHT_LETTERS))
    side = getattr(axes, f"{which}axis")
    if axis.log:
        getattr(axes, f"set_{which}scale")("log")
        side.set_major_locator(LogLocator(numticks=6))
        side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        side.set_minor_formatter(NullFormatter())
    if axis.high is not None:
        getattr(axes, f"set_{which}lim")(0.0, axis.high)
    if axis.categories:
        names = [elided(plain(name), 34) for name in axis.categories]
        turned: dict[str, Any] = {"rotation": 45, "ha": "right"} if which == "x" else {}
        getattr(axes, f"set_{which}ticks")(range(len(names)), labels=names, **turned)
        if which == "y":
            axes.set_ylim(len(names) - 0.4, -0.6)
        else:
            axes.set_xlim(-0.6, len(names) - 0.4)


def _legend(drawing: Drawing, columns: int, top: float) -> None:
    """One legend for all panels, below them; a label counts once. `top` is a share of the height."""
    seen: dict[str, Any] = {}
    for axes in drawing.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            seen.setdefault(label, handle)
    if seen:
        look: dict[str, Any] = {"frameon": False, "handlelength": 1.6, "borderaxespad": 0.2}
        place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, top), "ncols": columns}
        drawing.legend(list(seen.values()), list(seen), **look, **place).set_in_layout(False)


def _label(mark: Mark) -> str:
    """A mark's label with its name shortened in the middle; '_' keeps it out of the legend, as matplotlib has it."""
    name, colon, rest = plain(mark.label).partition(": n ")
    return elided(name, 34).lstrip("_") + colon + rest if mark.label else "_"


def _points(axes: Axes, mark: Mark) -> None:
    marker = MARKERS[mark.colour % MOST] if mark.colour >= 0 else "o"
    look: dict[str, Any] = {
        "s": 12 if len(mark.x) < MANY else 5,
        "marker": marker,
        "color": colour(mark.colour),
        "linewidths": 0,
        "alpha": 0.85,
    }
    axes.scatter(mark.x, mark.y, label=_label(mark), zorder=3, **look)


def _line(axes: Axes, mark: Mark) -> None:
    style = "--" if mark.dashed else "-"
    width = 1.2 if len(mark.x) < MANY else 0.7
    axes.plot(mark.x, mark.y, style, linewidth=width, color=colour(mark.colour), label=_label(mark), zorder=2)


def _band(axes: Axes, mark: Mark) -> None:
    axes.fill_between(mark.x, mark.low, mark.high, color=colour(mark.colour), alpha=0.15, linewidth=0, zorder=1)


def _bars(axes: Axes, mark: Mark) -> None:
    axes.barh(mark.y, mark.x, height=mark.width, color=colour(mark.colour), label=_label(mark), zorder=2)
    axes.axvline(0, color="#222222", linewidth=0.6)


def _steps(axes: Axes, mark: Mark) -> None:
    style = "--" if mark.dashed else "-"
    axes.stairs(mark.y, mark.x, color=colour(mark.colour), linestyle=style, linewidth=1.2, label=_label(mark))


def _rule(axes: Axes, mark: Mark) -> None:
    for i, x in enumerate(mark.x):
        style, label = "--" if mark.dashed else "-", "_" if i else _label(mark)
        axes.axvline(x, color=colour(mark.colour), linewidth=0.9, linestyle=style, label=label)


def _level(axes: Axes, mark: Mark) -> None:
    for i, y in enumerate(mark.y):
        style, label = "--" if mark.dashed else "-", "_" if i else _label(mark)
        axes.axhline(y, color=colour(mark.colour), linewidth=0.9, linestyle=style, label=label)


def _text(axes: Axes, mark: Mark) -> None:
    for x, y, name in zip(mark.x, mark.y, mark.names, strict=True):
        axes.text(x, y, plain(name), ha="center", va="center", fontsize=7)


MARKS = {
    "points": _points,
    "line": _line,
    "band": _band,
    "bars": _bars,
    "steps": _steps,
    "rule": _rule,
    "level": _level,
    "text": _text,
}
"""How each kind of mark is drawn."""


def _wrapped(text: str, letters: int) -> str:
    lines = (textwrap.wrap(plain(line), max(letters, 12)) for line in text.split("\n"))
    return "\n".join(line for group in lines for line in group)
