"""Gate and up of a gated feed-forward net in one matrix, gate first. The fused matrix is a layer too.

The whole is what papers and WeightWatcher analyse, so it keeps the type 'dense' (or 'conv2d'); its parts have the type
'dense_part', so that an average does not count them twice.
"""

from __future__ import annotations

from zoospectra.zoo.layers.split.part import Context, LayerPart, matrix_kind
from zoospectra.zoo.layers.split.qkv.blocks import blocks

NAMES = frozenset({"gate_up_proj", "gate_up", "w12", "weights_in"})
"""Last parts of the names of gate and up in one matrix."""


def gate_up(name: str, shape: tuple[int, ...], context: Context) -> tuple[LayerPart, ...] | None:
    """The fused matrix, gate and up; None when the name is not that of both in one."""
    last = name.removesuffix(".weight").rpartition(".")[2].lower()
    kind = matrix_kind(shape)
    if kind is None or not (last in NAMES or (last == "wi" and context.family() == "modernbert")):
        return None
    return (LayerPart("", kind, "gate_up"), *(blocks(shape, kind, 0, {"gate": 1, "up": 1}) or ()))
