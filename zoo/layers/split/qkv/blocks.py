"""q, k and v one behind the other: (n_q d + 2 n_kv d, in), or (in, 3 d) in GPT-2's Conv1D.

torch.nn.MultiheadAttention, ViT and Swin, MPT, DBRX, Phi-3, Qwen, Baichuan, and every GGUF file but Persimmon's.
Legend: n_q query heads, n_kv key and value heads, d width of a head.
"""

from __future__ import annotations

from zoospectra.zoo.checkpoint.view import Take
from zoospectra.zoo.layers.split.part import LayerPart
from zoospectra.zoo.layers.split.qkv.attention import Attention, Parts


def in_blocks(attention: Attention) -> Parts:
    """Blocks by the numbers of heads; thirds where the keys have as many heads as the queries, or the shape says so."""
    shape, heads, groups = attention.shape, attention.heads, attention.groups
    if len(shape) == 2 and shape[1] == 3 * shape[0]:
        return thirds(attention, axis=1)
    if len(shape) == 2 and shape[1] == 2 * shape[0] and ".crossattention." in f".{attention.name}":  # GPT-2
        return blocks(shape, attention.kind, 1, {"k": 1, "v": 1}) or "no halves"
    if heads and groups:
        parts = blocks(shape, attention.kind, 0, {"q": heads, "k": groups, "v": groups})
        return parts or f"{shape[0]} rows are not those of {heads} heads and {groups} for keys and values"
    width = attention.context.number("head_dim", "kv_channels", "d_head", "attention_head_size")
    if shape[0] == 3 * shape[1] or (heads and width and shape[0] == 3 * heads * width):
        return thirds(attention)
    return f"{shape[0]} x {shape[1]} is not three times as long as wide, and no number of heads is known"


def thirds(attention: Attention, axis: int = 0) -> Parts:
    """Three blocks of one size."""
    parts = blocks(attention.shape, attention.kind, axis, {"q": 1, "k": 1, "v": 1})
    return parts or f"{attention.shape[axis]} rows are no multiple of three"


def blocks(shape: tuple[int, ...], kind: str, axis: int, sizes: dict[str, int]) -> tuple[LayerPart, ...] | None:
    """Blocks along an axis, of the given relative sizes; None when they do not fit."""
    unit, left = divmod(shape[axis], sum(sizes.values()))
    if left or not unit:
        return None
    parts, start = [], 0
    for role, size in sizes.items():
        parts.append(LayerPart(role, f"{kind}_part", role, (Take(axis, start, start + size * unit),)))
        start += size * unit
    return tuple(parts)
