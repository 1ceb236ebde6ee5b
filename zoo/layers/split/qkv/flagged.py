"""Families in which a flag of the configuration chooses the layout: Falcon, GPT-BigCode, ChatGLM, MPT."""

from __future__ import annotations

from collections.abc import Mapping

from zoospectra.zoo.layers.split.qkv.attention import Attention, Parts
from zoospectra.zoo.layers.split.qkv.blocks import blocks, in_blocks
from zoospectra.zoo.layers.split.qkv.groups import in_groups
from zoospectra.zoo.layers.split.qkv.heads_first import heads_first


def falcon(attention: Attention) -> Parts:
    """Groups in the new architecture, one key and value behind all queries with multi_query, else head by head."""
    config = attention.context.config
    if config.get("new_decoder_architecture") is True:
        return in_groups(attention)
    return one_key(attention) if config.get("multi_query", True) is True else heads_first(attention)


def bigcode(attention: Attention) -> Parts:
    """SantaCoder and StarCoder: one key and value behind all queries, unless multi_query is off."""
    if ".crossattention." in f".{attention.name}":
        return "keys and values of a cross-attention, whose order depends on multi_query"
    return one_key(attention) if attention.context.config.get("multi_query", True) is True else heads_first(attention)


def chatglm(attention: Attention) -> Parts:
    """Blocks in ChatGLM2, 3 and GLM-4, which have multi_query_attention; head by head in ChatGLM-6B."""
    grouped = attention.context.config.get("multi_query_attention") is True
    return in_blocks(attention) if grouped else heads_first(attention)


def mpt(attention: Attention) -> Parts:
    """Blocks; with attn_type multiquery_attention one key and value behind all queries."""
    chosen = attention.context.config.get("attn_config")
    kind = chosen.get("attn_type") if isinstance(chosen, Mapping) else None
    return one_key(attention) if kind == "multiquery_attention" else in_blocks(attention)


def one_key(attention: Attention) -> Parts:
    """All queries, one key, one value."""
    heads = attention.heads
    parts = blocks(attention.shape, attention.kind, 0, {"q": heads, "k": 1, "v": 1}) if heads else None
    return parts or f"{attention.shape[0]} rows are not those of {heads} heads and two more"
