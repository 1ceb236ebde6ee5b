"""Matrices that several were fused into: query, key and value; gate and up. The fused matrix is a layer too.

The whole is what papers and WeightWatcher analyse, so it keeps the type 'dense' (or 'conv2d'); its parts have the type
'dense_part', so that an average does not count them twice. Rows of a part may be permuted against the original (heads):
a spectrum does not mind.

Layouts of q, k, v: one behind the other along the output axis, (3 d, d), or (d, 3 d) in GPT-2's Conv1D; with fewer key
and value heads (n_q + 2 n_kv) d_head rows; per head (heads, 3, d_head, in) in BLOOM, GPT-NeoX, Persimmon, Falcon-RW;
per group of heads (groups, n_q / groups + 2, d_head, in) in Falcon; four blocks of q, v, k in CodeGen.
Where neither the configuration nor a shape of (3 d, d) tells how they lie, only the fused matrix is a layer.
"""

from __future__ import annotations

from zoospectra.zoo.checkpoint.view import Reshape, Step, Take
from zoospectra.zoo.layers.split.part import Context, LayerPart

NAMES = frozenset(
    {"in_proj_weight", "qkv", "qkv_proj", "wqkv", "c_attn", "attn_qkv", "to_qkv", "query_key_value", "in_proj_qkv"}
)
"""Last parts of the names of fused matrices, in lower case, without '.weight'."""

PER_HEAD = frozenset({"bloom", "gpt_neox", "gpt_neox_japanese", "gptneox", "persimmon"})
"""Families that interleave q, k, v head by head under the name query_key_value."""

HALVES = frozenset({"gate_up_proj", "gate_up", "w12", "weights_in"})
"""Names of gate and up in one matrix, gate first."""


def fused(name: str, shape: tuple[int, ...], context: Context) -> tuple[LayerPart, ...] | None:
    """The fused matrix and its parts; None when the name is no fused matrix's."""
    last = name.removesuffix(".weight").rpartition(".")[2].lower()
    kind = {2: "dense", 4: "conv2d"}.get(len(shape))
    if kind is None or (kind == "conv2d" and shape[2:] != (1, 1)):
        return None
    if last in HALVES or (last == "wi" and context.family() == "modernbert"):
        return (LayerPart("", kind, "gate_up"), *_blocks(shape, kind, 0, {"gate": 1, "up": 1}))
    if last not in NAMES:
        return None
    return (LayerPart("", kind, "qkv"), *_heads(last, shape, kind, context))


def _heads(last: str, shape: tuple[int, ...], kind: str, context: Context) -> tuple[LayerPart, ...]:
    """q, k and v of a fused matrix; () when it cannot be told where they are."""
    family = context.family()
    heads = context.number("num_attention_heads", "n_head", "head_count", "n_heads", "num_heads")
    groups = context.number(
        "num_key_value_heads", "num_kv_heads", "head_count_kv", "multi_query_group_num", "attn_config.kv_n_heads"
    )
    if last == "query_key_value" and len(shape) == 2:
        if family == "falcon":
            return _falcon(shape, heads, groups, context)
        if family in PER_HEAD:
            return _interleaved(shape, heads, 1) if heads else ()
        if family not in ("chatglm", "glm") and not groups:
            return ()
    if family == "codegen" and len(shape) == 2 and shape[0] % 12 == 0:
        width = shape[0] // 12
        return tuple(
            LayerPart(role, "dense_part", role, _picked((4, 3, width, shape[1]), number, number + 1))
            for role, number in (("q", 0), ("k", 2), ("v", 1))
        )
    if len(shape) == 2 and shape[1] == 3 * shape[0]:
        return _blocks(shape, kind, 1, {"q": 1, "k": 1, "v": 1})
    if groups and heads and groups != heads:
        return _blocks(shape, kind, 0, {"q": heads, "k": groups, "v": groups})
    if family == "gpt_bigcode" and heads and shape[0] != 3 * shape[1] and shape[0] % (heads + 2) == 0:
        return _blocks(shape, kind, 0, {"q": heads, "k": 1, "v": 1})
    rows = (heads or 0) * (context.number("head_dim") or 0)
    if last == "in_proj_weight" or shape[0] in (3 * shape[1], 3 * rows):
        return _blocks(shape, kind, 0, {"q": 1, "k": 1, "v": 1})
    return ()  # keys narrower than values, as in EfficientFormer


def _falcon(shape: tuple[int, ...], heads: int | None, groups: int | None, context: Context) -> tuple[LayerPart, ...]:
    """Falcon's three layouts."""
    if not heads:
        return ()
    if context.config.get("new_decoder_architecture") is True:
        return _interleaved(shape, groups or heads, heads // (groups or heads))
    if context.config.get("multi_query", True) is True:
        return _blocks(shape, "dense", 0, {"q": heads, "k": 1, "v": 1}) if shape[0] % (heads + 2) == 0 else ()
    return _interleaved(shape, heads, 1)


def _interleaved(shape: tuple[int, ...], groups: int, queries: int) -> tuple[LayerPart, ...]:
    """(groups, queries + 2, d_head, in), each group's queries before its key and its value."""
    rows = groups * (queries + 2)
    if shape[0] % rows:
        return ()
    whole = (groups, queries + 2, shape[0] // rows, shape[1])
    places = {"q": (0, queries), "k": (queries, queries + 1), "v": (queries + 1, queries + 2)}
    return tuple(LayerPart(role, "dense_part", role, _picked(whole, *place)) for role, place in places.items())


def _picked(whole: tuple[int, int, int, int], start: int, stop: int) -> tuple[Step, ...]:
    """Slots start to stop of the second axis as one matrix."""
    rows = whole[0] * (stop - start) * whole[2]
    return (Reshape(whole), Take(1, start, stop), Reshape((rows, whole[3])))


def _blocks(shape: tuple[int, ...], kind: str, axis: int, sizes: dict[str, int]) -> tuple[LayerPart, ...]:
    """Blocks along an axis, of the given relative sizes; () when they do not fit."""
    unit, left = divmod(shape[axis], sum(sizes.values()))
    if left or not unit:
        return ()
    parts, start = [], 0
    for role, size in sizes.items():
        parts.append(LayerPart(role, f"{kind}_part", role, (Take(axis, start, start + size * unit),)))
        start += size * unit
    return tuple(parts)
