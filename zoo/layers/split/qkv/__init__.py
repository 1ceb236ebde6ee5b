"""Query, key and value in one matrix. The fused matrix is a layer too.

The whole is what papers and WeightWatcher analyse, so it keeps the type 'dense' (or 'conv2d'); its parts have the type
'dense_part', so that an average does not count them twice. Rows of a part may be permuted against the original (heads):
a spectrum does not mind. A layout is one file here; families.py says which family has which. Where names, configuration
and shape do not tell, only the fused matrix is a layer, and a row says why.
"""

from __future__ import annotations

import re

from zoospectra.zoo.layers.split.part import Context, LayerPart, matrix_kind
from zoospectra.zoo.layers.split.qkv.attention import Attention, Layout
from zoospectra.zoo.layers.split.qkv.blocks import in_blocks
from zoospectra.zoo.layers.split.qkv.families import FAMILIES, NAMES, OWN
from zoospectra.zoo.layers.split.qkv.heads_first import heads_first

INNER = re.compile(r"\.(linear|conv|c|ln)$")
"""Modules around one projection, as in LeViT's 'qkv.linear.weight'."""

ATTENTION = re.compile(r"(?:^|\.)(?:self_?)?(?:attn|attention)(?:\.self)?\.in_proj$")
"""'in_proj' is q, k and v inside an attention, and something else in Mamba."""


def qkv(name: str, shape: tuple[int, ...], context: Context) -> tuple[LayerPart, ...] | None:
    """The fused matrix and its parts; None when the name is no fused matrix's."""
    kind = matrix_kind(shape)
    if kind is None:
        return None
    module = INNER.sub("", name.removesuffix(".weight"))
    tower = context.within(name)
    layout = _layout(module, tower)
    if layout is None:
        return None
    parts = layout(Attention(module, shape, kind, tower))
    if isinstance(parts, str):
        return (LayerPart("", kind, "qkv", unsplit=f"q, k and v are not told apart: {parts}"),)
    return (LayerPart("", kind, "qkv"), *parts)


def _layout(module: str, context: Context) -> Layout | None:
    """How q, k and v lie in the matrix of a module; None when it is no fused one."""
    last, family = module.rpartition(".")[2], context.family()
    if ATTENTION.search(module):
        return FAMILIES.get(family) if family in ("deberta", "qwen:vision") else None
    named = NAMES.get(last.lower())
    if named is None or last.lower() in OWN:
        return named
    if last.lower() == "attn_qkv":  # GGUF: its converter puts every family in blocks but this one
        return heads_first if family == "persimmon" else in_blocks
    if last == "Wqkv" and family not in FAMILIES:  # flash-attn's name; wqkv is InternLM2's
        return in_blocks
    return FAMILIES.get(family, named)
