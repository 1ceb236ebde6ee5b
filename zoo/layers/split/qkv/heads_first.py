"""q, k and v of one head, then those of the next: rows (heads, 3 d), or (heads, d_k + d_k + d_v).

BLOOM, GPT-NeoX, Persimmon, MiniMax, DeBERTa, ChatGLM-6B, Falcon-RW, GPT-BigCode without multi-query, Qwen-VL's vision
tower; in timm LeViT, TinyViT, EfficientFormer (keys narrower than values), CoAtNet and MaxViT, EfficientViT.
Legend: d width of a head, d_k of its key, d_v of its value.
"""

from __future__ import annotations

from collections.abc import Sequence

from zoospectra.zoo.checkpoint.view import Reshape, Step, Take
from zoospectra.zoo.layers.split.part import LayerPart
from zoospectra.zoo.layers.split.qkv.attention import Attention, Parts


def heads_first(attention: Attention) -> Parts:
    """(heads, 3, d): every head's q, k and v of one width."""
    if not attention.heads:
        return "q, k and v take turns head by head, and the configuration does not say how many heads there are"
    return taking_turns(attention, attention.heads, {"q": 1, "k": 1, "v": 1})


def relative(attention: Attention) -> Parts:
    """LeViT, TinyViT, EfficientFormer: heads by their table of biases, d_v by the projection behind, d_k the rest."""
    table, behind = attention.near("attention_biases"), _behind(attention)
    if table is None or behind is None or behind % table[0] or attention.shape[0] % table[0]:
        return "keys narrower than values, and the projection behind does not tell by how much"
    each, value = attention.shape[0] // table[0], behind // table[0]
    key, left = divmod(each - value, 2)
    if left or key <= 0:
        return f"{each} rows a head with values of {value} leave no equal query and key"
    return taking_turns(attention, table[0], {"q": key, "k": key, "v": value})


def counted(attention: Attention, heads: int) -> Parts:
    """(heads, 3, d), with heads that a neighbour of the matrix tells."""
    return taking_turns(attention, heads, {"q": 1, "k": 1, "v": 1})


def taking_turns(attention: Attention, turns: int, sizes: dict[str, int]) -> Parts:
    """(turns, sum of sizes, unit, in): parts of the given relative sizes in every turn."""
    rows, together = attention.shape[0], sum(sizes.values())
    unit, left = divmod(rows, turns * together)
    if left or not unit:
        return f"{rows} rows are no {turns} times {'+'.join(map(str, sizes.values()))}"
    inner = (unit, *attention.shape[1:])
    parts, start = [], 0
    for role, size in sizes.items():
        view = picked((turns, together, *inner), start, start + size, attention.shape[1:])
        parts.append(LayerPart(role, f"{attention.kind}_part", role, view))
        start += size
    return tuple(parts)


def picked(whole: tuple[int, ...], start: int, stop: int, inputs: Sequence[int]) -> tuple[Step, ...]:
    """Slots start to stop of the second axis as the rows of one matrix."""
    rows = whole[0] * (stop - start) * whole[2]
    return (Reshape(whole), Take(1, start, stop), Reshape((rows, *inputs)))


def _behind(attention: Attention) -> int | None:
    """Inputs of the projection behind an attention."""
    names = ("proj.weight", "proj.linear.weight", "proj.ln.linear.weight", "proj.1.linear.weight", "proj.c.weight")
    shapes = (attention.near(name) for name in names)
    return next((shape[1] for shape in shapes if shape is not None and len(shape) >= 2), None)
