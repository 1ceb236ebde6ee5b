"""Everything that is one layer as it stands: dense matrices and convolutions of one, two and three dimensions.

Convolutions keep all axes, (out, in / groups, *kernel): a grouped or depthwise one is sliced by kernel position like
any other, as WeightWatcher does, and not group by group. Transposed convolutions are (in, out / groups, *kernel), whose
slices have the same spectrum.
"""

from __future__ import annotations

import re

from zoospectra.zoo.checkpoint.view import Reshape
from zoospectra.zoo.layers.split.part import Context, LayerPart
from zoospectra.zoo.layers.split.roles import role

MAX_KERNEL = 31
"""Longest 1-D kernel that is taken for one without its name saying so."""

CONVOLUTION = re.compile(r"conv|(?:^|\.)voice")
"""Names of modules that say that a 3-D tensor is a 1-D convolution."""

HEADS = re.compile(r"(?:^|\.)(?:rel_attn\.)?[qkvor]$")
"""XLNet's (d, heads, d_head), which are one matrix (d, heads d_head)."""


def plain(name: str, shape: tuple[int, ...], context: Context) -> tuple[LayerPart, ...] | None:
    """The tensor as one layer; None for shapes that are no layer's."""
    longname = name.removesuffix(".weight").removesuffix(".kernel")
    group = role(longname)
    if len(shape) == 2:
        return (LayerPart("", "dense", group),)
    if len(shape) == 3 and HEADS.search(name):
        return (LayerPart("", "dense", group, (Reshape((shape[0], shape[1] * shape[2])),)),)
    if len(shape) == 3:
        return (LayerPart("", "conv1d", group),) if _is_conv1d(name.lower(), shape) else None
    if len(shape) in (4, 5):
        return (LayerPart("", f"conv{len(shape) - 2}d", group),)
    return None


def _is_conv1d(name: str, shape: tuple[int, ...]) -> bool:
    """Whether (out, in, k) is a 1-D convolution: its name says so, or its short last axis."""
    if CONVOLUTION.search(name):
        return True
    return shape[2] <= MAX_KERNEL and shape[2] <= max(shape[0], shape[1])
