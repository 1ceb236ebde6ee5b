"""Which family lays q, k and v out how; what a name alone says where the family is unknown.

A family is model_type of the configuration of the tower that the tensor is in (see part.Context.within).
"""

from __future__ import annotations

from zoospectra.zoo.layers.split.qkv.attention import Attention, Layout, Parts
from zoospectra.zoo.layers.split.qkv.blocks import blocks, in_blocks, thirds
from zoospectra.zoo.layers.split.qkv.codegen import codegen
from zoospectra.zoo.layers.split.qkv.flagged import bigcode, chatglm, falcon, mpt
from zoospectra.zoo.layers.split.qkv.groups import delta, gated_delta, in_groups
from zoospectra.zoo.layers.split.qkv.heads_first import counted, heads_first, relative

FAMILIES: dict[str, Layout] = {
    "baichuan": thirds,
    "bark": thirds,
    "bloom": heads_first,
    "chatglm": chatglm,
    "codegen": codegen,
    "cogvlm": in_blocks,
    "cogvlm:vision": thirds,
    "dbrx": in_blocks,
    "deberta": heads_first,
    "falcon": falcon,
    "glm": thirds,
    "gpt_bigcode": bigcode,
    "gpt_neox": heads_first,
    "gpt_neox_japanese": heads_first,
    "internlm-xcomposer2": in_groups,
    "internlm2": in_groups,
    "internlmxcomposer2": in_groups,
    "minimax": heads_first,
    "mpt": mpt,
    "persimmon": heads_first,
    "phi-msft": in_blocks,
    "phi3": in_blocks,
    "phi3_v": in_blocks,
    "phi3small": in_groups,
    "phi4_multimodal": in_blocks,
    "phi4mm": in_blocks,
    "phimoe": in_blocks,
    "qwen": in_blocks,
    "qwen:vision": heads_first,
}
"""model_type -> layout of query_key_value, qkv_proj, wqkv, c_attn and the like."""


def vision(attention: Attention) -> Parts:
    """A 'qkv' of an image net: blocks, but for the families of timm that a neighbour gives away."""
    rows = attention.shape[0]
    if attention.near("attention_biases") is not None:
        return relative(attention)
    table, net = attention.near("rel_pos.relative_position_bias_table"), attention.near("rel_pos.mlp.fc2.weight")
    if ".blocks." in attention.name and attention.name.startswith("stages.") and (table or net):
        # CoAtNet and MaxViT; a table of three axes is that of the weights that came from TensorFlow, in blocks.
        if table is None or len(table) == 2:
            return counted(attention, table[1] if table else (net or (1,))[0])
        return thirds(attention)
    groups = attention.near("aggreg.0.1.weight")
    if groups is not None and len(groups) == 4 and rows % (3 * groups[1]) == 0:  # EfficientViT: groups of one q, k or v
        return counted(attention, rows // (3 * groups[1]))
    behind = attention.near("proj.weight")
    if behind is not None and len(behind) >= 2 and rows == 3 * behind[1]:  # wider or narrower than its input
        return thirds(attention)
    if rows == 2 * attention.shape[1]:  # GCViT's global queries come from elsewhere
        return blocks(attention.shape, attention.kind, 0, {"k": 1, "v": 1}) or "no halves"
    return in_blocks(attention)


def unknown(attention: Attention) -> Parts:
    """A name under which several families keep several layouts."""
    family = attention.context.family()
    return f"the layout of {family!r} is not known" if family else "no configuration says which family the model is of"


NAMES: dict[str, Layout] = {
    "att_proj": unknown,
    "attn_qkv": in_blocks,
    "c_attn": in_blocks,
    "in_proj_qkv": delta,
    "in_proj_qkvz": gated_delta,
    "in_proj_weight": thirds,
    "language_expert_query_key_value": unknown,
    "linear_qkv": in_groups,
    "qkv": vision,
    "qkv_linear": thirds,
    "qkv_net": thirds,
    "qkv_proj": unknown,
    "query_key_value": unknown,
    "to_qkv": thirds,
    "vision_expert_query_key_value": unknown,
    "w_pack": thirds,
    "wqkv": unknown,
}
"""Last part of the name of a fused matrix, in lower case, without '.weight' -> layout where no family says another.
torch, GPT-2, GGUF, Megatron Core, lucidrains' and Baichuan's names are used for one layout only."""

OWN = frozenset({"in_proj_weight", "in_proj_qkv", "in_proj_qkvz", "linear_qkv", "qkv", "to_qkv"})
"""Names whose layout is the same in every family."""
