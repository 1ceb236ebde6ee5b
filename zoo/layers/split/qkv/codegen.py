"""CodeGen: four blocks, as it was trained on four cores, of all queries, values and keys of the block's heads."""

from __future__ import annotations

from zoospectra.zoo.layers.split.part import LayerPart
from zoospectra.zoo.layers.split.qkv.attention import Attention, Parts
from zoospectra.zoo.layers.split.qkv.heads_first import taking_turns

CORES = 4
"""Blocks of rows: mp_num in transformers' modeling_codegen."""


def codegen(attention: Attention) -> Parts:
    """(4, 3, rows, in) in the order q, v, k."""
    parts = taking_turns(attention, CORES, {"q": 1, "v": 1, "k": 1})
    return parts if isinstance(parts, str) else tuple(sorted(parts, key=_by_role))


def _by_role(part: LayerPart) -> int:
    return "qkv".index(part.suffix)
