"""The role of a weight inside its block, from its name: one vocabulary for many libraries' names.

Transformers: q, k, v, o (attention), gate, up, down (the feed-forward part), router, 'expert 3', mixer (Mamba), head,
position (a net that makes a position table). Convolutional nets: stem (also a ViT's patches), conv1, conv2, ... (a
residual block's own), shortcut, transition, squeeze, head. None says that the name tells nothing, as in VGG's
'features.7'.
"""

from __future__ import annotations

import re

EXPERT = re.compile(r"(?:^|[._])experts?[._](\d+)(?:[._]|$)")
"""One of a list of experts."""

PATTERNS: tuple[tuple[str, str], ...] = (
    (
        r"^(\w+\.)?(fc|head|heads|classifier|output|logits|last_linear|score|lm_head|embed_out|qa_outputs|predictions)"
        r"(\.(\d+|fc\d*|head|dense|out_proj|decoder|l|linear))*$",
        "head",
    ),
    (r"(^|\.)(router|ffn_gate_inp)(\.|$)|(moe|mlp|ffn|feed_forward)\.gate$|shared_expert_gate$", "router"),
    (r"(^|\.)(se\d?|se_module|se_layer|squeeze_excitation|squeeze_excite)(\.|$)", "squeeze"),
    (r"(^|\.)(shortcut\d*|identity_conv|identity_block|skip_conv)(\.|$)|\d\.\d+\.downsample\.", "shortcut"),
    (r"(^|\.)(cpb_mlp|rel_pos\.mlp|continuous_position_bias_mlp)\.", "position"),
    (r"mixer\.(in|out|x|dt)_proj$", "mixer"),
    (r"(^|\.)trans(ition)?\d*(\.|$)", "transition"),
    (
        r"^(\w+\.)?(\w*embeddings?\.)?(features\.(conv0|init_block\.(conv\d?\.)?conv)|conv1|conv_stem|conv_proj|stem\.\w+"
        r"|patch_embed\.proj|patch_embeddings?\.projection|patch_embedding|embedder\.embedder\.convolution)$",
        "stem",
    ),
    (r"attention\.output\.dense$|att(ention|n)\.(dense|c_proj|proj|out|out_lin|o|wo|o_net)$|attn_output$", "o"),
    (r"attention\w*\._?output_dense$|rel_attn\.o$|attention\.attention\.out_proj$|attn\.attn\.proj$|attn_out$", "o"),
    (r"(^|[._])wi_0$|ffn_gate(_exps)?$", "gate"),
    (
        r"(^|[._])(wi|wi_1)$|intermediate\.dense$|(^|\.)(mlp|ffn)\.(c_fc|fc_in|lin1|dense_h_to_4h|linear_1|fc_1|0)$"
        r"|(mlp\w*|ffn?|feed_forward|layers?\.\d+)\.(\w+\.)?fc1$"
        r"|ffn_up(_exps)?$|(ff|ffn)\.layer_1$|intermediate_dense$|albert_layers\.\d+\.ffn$",
        "up",
    ),
    (
        r"(densereludense|mlp|ffn|ff)\.(\w+\.)*wo$|output\.dense$|(^|\.)(mlp|ffn)\.(c_proj|fc_out|lin2|dense_4h_to_h|3)$"
        r"|(mlp\w*|ffn?|feed_forward|layers?\.\d+)\.(\w+\.)?fc2$"
        r"|(mlp|ffn)\.(linear_2|fc_2)$|ffn_down(_exps)?$|(ff|ffn)\.layer_2$|output_dense$|ffn_output$",
        "down",
    ),
    (r"(^|[._])attn_q$", "q"),
    (r"(^|[._])attn_k$", "k"),
    (r"(^|[._])attn_v$", "v"),
)
"""Names that only make sense whole -> role; the first that fits counts."""

WORDS: dict[str, frozenset[str]] = {
    "q": frozenset(
        {"q", "q_proj", "query", "query_dense", "_query_dense", "q_lin", "wq", "to_q", "query_proj", "q_proj_weight"}
    ),
    "k": frozenset(
        {"k", "k_proj", "key", "key_dense", "_key_dense", "k_lin", "wk", "to_k", "key_proj", "k_proj_weight"}
    ),
    "v": frozenset(
        {"v", "v_proj", "value", "value_dense", "_value_dense", "v_lin", "wv", "to_v", "value_proj", "v_proj_weight"}
    ),
    "o": frozenset({"o", "o_proj", "out_proj", "out_lin", "wo", "to_out"}),
    "gate": frozenset({"gate_proj", "w1"}),
    "up": frozenset({"up_proj", "w3", "c_fc"}),
    "down": frozenset({"down_proj", "w2"}),
}
"""Role -> parts of names that say so, wherever the weight is a part of something larger."""

BLOCK = re.compile(r"\.(?:body\.)?(conv[1-9])(?:\.conv)?$")
"""The convolutions of a residual or dense block, in its own numbers."""

_COMPILED = tuple((re.compile(pattern), role) for pattern, role in PATTERNS)


def role(longname: str) -> str | None:
    """Role of a weight inside its block; 'expert 3' inside a list of experts; None when the name does not say."""
    expert = EXPERT.search(longname)
    if expert:
        return f"expert {expert[1]}"
    name = longname.lower().removeprefix("module.")
    for pattern, name_role in _COMPILED:
        if pattern.search(name):
            return name_role
    parts = name.split(".")
    word = next((name_role for name_role, words in WORDS.items() if len(parts) > 1 and words & set(parts[-2:])), None)
    if word:
        return word
    block = BLOCK.search(name)
    return block[1] if block else None
