"""Split rules: which matrices a stored tensor holds, one file a family. The first rule that knows a tensor counts."""

from __future__ import annotations

from zoospectra.zoo.layers.split.experts import experts
from zoospectra.zoo.layers.split.gate_up import gate_up
from zoospectra.zoo.layers.split.part import Context, LayerPart, Rule
from zoospectra.zoo.layers.split.plain import plain
from zoospectra.zoo.layers.split.qkv import qkv
from zoospectra.zoo.layers.split.recurrent import recurrent
from zoospectra.zoo.layers.split.tables import tables
from zoospectra.zoo.layers.split.transformer_lens import transformer_lens

RULES: dict[str, Rule] = {
    "recurrent": recurrent,
    "transformer_lens": transformer_lens,
    "experts": experts,
    "gate_up": gate_up,
    "qkv": qkv,
    "tables": tables,
    "plain": plain,
}
"""Family -> rule, in the order in which they are asked."""


def split(name: str, shape: tuple[int, ...], context: Context) -> tuple[LayerPart, ...] | None:
    """Layers of a weight tensor; None when no rule knows what it is."""
    for rule in RULES.values():
        parts = rule(name, shape, context)
        if parts is not None:
            return parts
    return None
