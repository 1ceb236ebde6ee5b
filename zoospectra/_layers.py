"""Which layers a caller means: by number, name, glob or type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from zoospectra.jobs.words.verb import did_you_mean

Wanted = int | str
"""A layer_id; or a longname, a glob of longnames, or a layer_type."""


def means(wanted: Wanted, layer_id: int, longname: str, layer_type: str) -> bool:
    """Whether `wanted` means this layer."""
    if isinstance(wanted, int):
        return wanted == layer_id
    return wanted in (longname, layer_type) or fnmatchcase(longname, wanted)


def check_layers(layers: Wanted | Sequence[Wanted], known: Sequence[tuple[int, str, str]]) -> tuple[Wanted, ...]:
    """The layers that are asked for as a tuple; ValueError for one that none of the known (id, name, type) is."""
    asked = (layers,) if isinstance(layers, int | str) else tuple(layers)
    for wanted in asked:
        if not any(means(wanted, *layer) for layer in known):
            names = [name for _, name, _ in known]
            hint = did_you_mean(wanted, names) if isinstance(wanted, str) else ""
            msg = f"layers={wanted!r}{hint}: expected a layer_id, longname, glob or layer_type of {_some(names)}"
            raise ValueError(msg)
    return asked


def only(layer: Wanted, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The one row that `layer` means; ValueError when it means none or several."""
    exact = [row for row in rows if layer in (row["layer_id"], row["longname"])]
    found = exact or [row for row in rows if means(layer, row["layer_id"], row["longname"], row["layer_type"])]
    if len(found) != 1:
        names = [row["longname"] for row in found or rows]
        hint = did_you_mean(layer, names) if isinstance(layer, str) and not found else ""
        msg = f"layer={layer!r}{hint}: expected one layer, got {len(found)} of {_some(names)}"
        raise ValueError(msg)
    return found[0]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "no layers"
