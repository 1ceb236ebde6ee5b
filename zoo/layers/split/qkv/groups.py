"""A group's queries, then its one key and its one value: rows (groups, n_q / groups + 2, d).

InternLM2 and its multi-modal relatives, Falcon's new architecture, Megatron Core's linear_qkv. In Qwen3-Next a key
head's query and key come first, then its values and their gates. Legend: n_q query heads, d width of a head.
"""

from __future__ import annotations

from zoospectra.zoo.layers.split.qkv.attention import Attention, Parts
from zoospectra.zoo.layers.split.qkv.heads_first import taking_turns


def in_groups(attention: Attention) -> Parts:
    """(groups, n_q / groups + 2, d)."""
    heads = attention.heads
    groups = attention.groups or heads
    if not heads or not groups or heads % groups:
        return f"groups of queries with one key each, but the configuration gives {heads} heads and {groups} groups"
    return taking_turns(attention, groups, {"q": heads // groups, "k": 1, "v": 1})


def gated_delta(attention: Attention) -> Parts:
    """Qwen3-Next's in_proj_qkvz: (key heads, d_k + d_k + r d_v + r d_v), r value heads a key head."""
    keys, values, key, value = _delta(attention)
    if not (keys and values and key and value) or values % keys:
        return "the configuration does not give the heads of keys and values and their widths"
    each = values // keys * value
    return taking_turns(attention, keys, {"q": key, "k": key, "v": each, "z": each})


def delta(attention: Attention) -> Parts:
    """in_proj_qkv of gated delta nets: all queries, all keys, all values."""
    keys, values, key, value = _delta(attention)
    if not (keys and values and key and value):
        return "the configuration does not give the heads of keys and values and their widths"
    return taking_turns(attention, 1, {"q": keys * key, "k": keys * key, "v": values * value})


def _delta(attention: Attention) -> tuple[int | None, int | None, int | None, int | None]:
    """Key heads, value heads, width of a key, width of a value."""
    number = attention.context.number
    return (
        number("linear_num_key_heads"),
        number("linear_num_value_heads"),
        number("linear_key_head_dim"),
        number("linear_value_head_dim"),
    )
