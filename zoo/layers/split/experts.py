"""Mixtures of experts whose experts are stored in one tensor: one matrix an expert, gate and up apart.

Layouts: (E, out, in) in transformers and GGUF ('ffn_up_exps'), (E, in, out) in GPT-OSS and Llama 4, (E out, in) in
DBRX. Where gate and up are one tensor they lie one behind the other; in GPT-OSS they alternate. Which axis is the
output is told by the model's hidden size, or by the shape of down_proj beside it. Legend: E experts.
"""

from __future__ import annotations

import re
from math import prod

from zoospectra.zoo.checkpoint.view import Order, Reshape, Step, Take
from zoospectra.zoo.layers.split.part import Context, LayerPart

STACKED = re.compile(r"(?:^|[._])(?:experts?|moe|mlp_experts|switch_mlp|switch_glu|\w+_exps)(?:[._]|$)")
"""Names of stacks of experts; 'exps' is GGUF's word, 'switch_mlp' MLX'."""

TRANSPOSED = frozenset({"gpt_oss", "llama4", "llama4_text"})
"""Families that store (E, in, out)."""

ALTERNATING = frozenset({"gpt_oss"})
"""Families in which gate and up alternate along the output axis."""

BIAS = re.compile(r"bias$")


def experts(name: str, shape: tuple[int, ...], context: Context) -> tuple[LayerPart, ...] | None:
    """Matrices of a stack of experts; None when the name is no stack's or the shape is not three-dimensional."""
    if BIAS.search(name) or not STACKED.search(name):
        return None
    flat = _flat(name, shape, context)
    if flat:
        count = flat
        first: tuple[Step, ...] = (Reshape((count, shape[0] // count, shape[1])),)
        shape = (count, shape[0] // count, shape[1])
    elif len(shape) == 3:
        first = ()
    else:
        return None
    fused = re.search(r"gate_up|w1_w3|w13", name) is not None
    turned = _inputs_first(name, shape, context, fused)
    parts: list[LayerPart] = []
    for expert in range(shape[0]):
        # One expert as a matrix, turned to (out, in), then cut into gate and up where they are one tensor.
        steps: tuple[Step, ...] = (*first, Take(0, expert, expert + 1), Reshape(shape[1:]))
        if turned:
            steps = (*steps, Order((1, 0)))
        rows = shape[2] if turned else shape[1]
        if not fused or rows % 2:
            parts.append(LayerPart(str(expert), "dense", f"expert {expert}", steps))
            continue
        for number, half in enumerate(("gate", "up")):
            if context.family() in ALTERNATING:
                cut = Take(0, number, rows, 2)
            else:
                cut = Take(0, number * rows // 2, (number + 1) * rows // 2)
            parts.append(LayerPart(f"{expert}.{half}", "dense", f"expert {expert}", (*steps, cut)))
    return tuple(parts)


def _flat(name: str, shape: tuple[int, ...], context: Context) -> int | None:
    """Number of experts when they are stacked along the rows of a matrix, as in DBRX."""
    count = context.number("ffn_config.moe_num_experts")
    if count and len(shape) == 2 and re.search(r"experts\.mlp\.(w1|v1|w2)$", name) and shape[0] % count == 0:
        return count
    return None


def _inputs_first(name: str, shape: tuple[int, ...], context: Context, fused: bool) -> bool:
    """Whether the matrices are (in, out)."""
    if context.family() in TRANSPOSED:
        return True
    hidden = context.number("hidden_size", "text_config.hidden_size", "d_model")
    down = context.sibling_shape(name, "down_proj")
    if not fused or prod(shape) == 0:
        return False
    if hidden and (shape[1] == hidden) != (shape[2] == hidden):
        return shape[1] == hidden
    # (E, 2 I, H) goes with down_proj (E, H, I), and (E, H, 2 I) with (E, I, H)
    return bool(down and len(down) == 3 and shape[2] == 2 * down[1] and shape[1] != 2 * down[2])
