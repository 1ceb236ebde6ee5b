"""Tables: token and position embeddings, relative position biases, learned tokens; all typed 'embedding'.

(1, n, d) and (1, h, w, d) become the matrices (n, d) and (h w, d). A (1, d, h, w), channels first, which its equal last
two axes tell, becomes (d, h w). lm_head is the token embedding's twin and of the same type, as the papers count it.
"""

from __future__ import annotations

import re

from zoospectra.zoo.checkpoint.view import Reshape
from zoospectra.zoo.layers.split.part import Context, LayerPart
from zoospectra.zoo.layers.split.roles import role

NAMES = frozenset({"wte", "wpe", "lm_head", "embed_out", "token_embd", "embed", "pe", "shared"})
"""Last parts of names that make a 2-D tensor an embedding; 'shared' is T5's and BART's."""

HEADS = ("predictions.decoder", "lm_head.decoder")
"""Ends of names of heads that are tied to the token embedding."""

WORDS = frozenset({"embed", "embedding", "embeddings", "embeds"})
"""So does a part with one of these words, such as 'word_embeddings' or 'embed_tokens'..."""

PROJECTIONS = frozenset({"proj", "projection", "mapping", "linear", "dense", "fc", "mlp", "project"})
"""...unless one of these says that it is a dense layer at an embedding, such as 'embedding_hidden_mapping_in'."""

POSITIONS = re.compile(
    r"(?:^|_)(?:pos|posit|position|positions|positional|poses|spatial|temporal)_?(?:embed|emb|enc|bias|table)"
    r"|rel(?:ative)?_(?:pos|position|attention|bias)|rel_pos|relative_attention_bias|attention_biases"
)
"""Last part of the name of a position table."""

WEIGHT = frozenset({"weight", "kernel"})
"""Last parts that say that a tensor of three or four axes is a kernel and no table."""


def tables(name: str, shape: tuple[int, ...], context: Context) -> tuple[LayerPart, ...] | None:
    """The table as one matrix; None when the name is no table's."""
    parts = name.lower().removesuffix(".weight").split(".")
    last = parts[-1]
    position = POSITIONS.search(last) is not None
    stated = context.config.get("tables")
    if len(shape) == 2:
        words = {word for part in parts[-2:] for word in part.split("_")}
        named = last in NAMES or ".".join(parts).endswith(HEADS) or (WORDS & words and not PROJECTIONS & words)
        # GGUF calls the head 'output'; a dense layer of that name has no neighbours without a block number.
        head = name == "output.weight" and "token_embd.weight" in context.shapes
        known = isinstance(stated, tuple) and name in stated  # the reader saw rows being looked up
        if not (named or position or head or known):
            return None
        return (LayerPart("", "embedding", role(name.removesuffix(".weight"))),)
    if name.rpartition(".")[2].lower() in WEIGHT or (len(shape) > 3 and not position):
        return None
    if len(shape) == 3 and shape[0] == 1:
        return (LayerPart("", "embedding", None, (Reshape(shape[1:]),)),)
    if len(shape) == 3 and WORDS & set(last.split("_")):  # XLNet's (segments, heads, d_head)
        return (LayerPart("", "embedding", None, (Reshape((shape[0], shape[1] * shape[2])),)),)
    if len(shape) == 3 and shape[1] == 1 and position:
        return (LayerPart("", "embedding", None, (Reshape((shape[0], shape[2])),)),)
    if len(shape) == 4 and shape[0] == 1:
        first = shape[2] == shape[3] != shape[1]
        flat = (shape[1], shape[2] * shape[3]) if first else (shape[1] * shape[2], shape[3])
        return (LayerPart("", "embedding", None, (Reshape(flat),)),)
    return None
