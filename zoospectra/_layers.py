"""Which layers a caller means: by number, name, glob or type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from zoospectra.jobs.words.verb import did_you_mean

Wanted = int | str
"""A layer_id; or a longname, a glob of longnames, or a layer_type."""


class Identity(NamedTuple):
    """What a layer is known by."""

    layer_id: int
    """Its number."""
    longname: str
    """Its name."""
    layer_type: str
    """'dense', 'conv2d', ..."""


def means(wanted: Wanted, layer: Identity) -> bool:
    """Whether `wanted` means this layer."""
    if isinstance(wanted, int):
        return wanted == layer.layer_id
    return wanted in (layer.longname, layer.layer_type) or fnmatchcase(layer.longname, wanted)


def check_layers(layers: Wanted | Sequence[Wanted], known: Sequence[Identity]) -> tuple[Wanted, ...]:
    """The layers that are asked for as a tuple; ValueError for one that none of the known (id, name, type) is."""
    asked = (layers,) if isinstance(layers, int | str) else tuple(layers)
    for wanted in asked:
        if not any(means(wanted, layer) for layer in known):
            names = [layer.longname for layer in known]
            hint = did_you_mean(wanted, names) if isinstance(wanted, str) else ""
            msg = f"layer {wanted!r}{hint}: expected a layer_id, longname, glob or layer_type of {_some(names)}"
            raise ValueError(msg)
    return asked


def only(layer: Wanted, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The one row that `layer` means; ValueError when it means none or several."""
    exact = [row for row in rows if layer in (row["layer_id"], row["longname"])]
    matching = exact or [
        row for row in rows if means(layer, Identity(row["layer_id"], row["longname"], row["layer_type"]))
    ]
    if len(matching) != 1:
        names = [row["longname"] for row in matching or rows]
        hint = did_you_mean(layer, names) if isinstance(layer, str) and not matching else ""
        msg = f"layer {layer!r}{hint}: expected one layer, got {len(matching)} of {_some(names)}"
        raise ValueError(msg)
    return matching[0]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "no layers"
