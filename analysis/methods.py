"""The table of per-layer metrics that a profile can name; each has its columns, citation, needs and cost.

A method's file is imported when a profile first asks for it: most need what the default profile does without. Methods
of other packages register under the entry point group `zoospectra.metrics`, name -> a `Method`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from zoospectra.analysis.records import Method

GROUP = "zoospectra.metrics"
"""Entry point group of methods from outside."""

METHODS: dict[str, str | Method] = {
    "norms": "zoospectra.analysis.metrics.norms",
    "norms_2021": "zoospectra.analysis.metrics.norms_2021",
    "alpha_norms": "zoospectra.analysis.metrics.alpha_norms",
    "hill": "zoospectra.analysis.metrics.hill",
    "robust_alpha": "zoospectra.analysis.metrics.robust_alpha",
    "bootstrap": "zoospectra.analysis.metrics.bootstrap",
    "gof": "zoospectra.analysis.metrics.gof",
    "tails": "zoospectra.analysis.metrics.tails",
    "e_tpl": "zoospectra.analysis.metrics.e_tpl",
    "fingers": "zoospectra.analysis.metrics.fingers",
    "erg": "zoospectra.analysis.metrics.erg",
    "marchenko_pastur": "zoospectra.analysis.metrics.marchenko_pastur",
    "phase": "zoospectra.analysis.metrics.phase",
    "randomized": "zoospectra.analysis.metrics.randomized",
    "second_opinion": "zoospectra.analysis.metrics.second_opinion",
}
"""Name -> the module that ends in its METHOD, or the method itself."""


def method(name: str) -> Method:
    """Look up a method by name: ours first, then those of installed packages.

    Raises ValueError for an unknown name, listing the known ones, and for an entry point that is no `Method`.
    """
    entry = METHODS.get(name)
    if isinstance(entry, Method):
        return entry
    return _installed(name) if entry is None else _ours(entry)


@cache
def _ours(module: str) -> Method:
    loaded: Method = import_module(module).METHOD
    return loaded


@cache
def _installed(name: str) -> Method:
    point = _entry_points().get(name)
    if point is None:
        msg = f"methods={name}: unknown method; known methods: {', '.join(sorted({*METHODS, *_entry_points()}))}"
        raise ValueError(msg)
    loaded = point.load()
    if isinstance(loaded, Method):
        return loaded
    msg = f"entry point {GROUP}: {name} = {point.value}: expected a Method, got {type(loaded).__name__}"
    raise ValueError(msg)


@cache
def _entry_points() -> dict[str, Any]:
    """Entry points by name, read once: it costs a look at every installed package."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}
