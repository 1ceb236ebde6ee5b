"""Which tensors are weights, and of what kind: by name and shape, nothing else is known here.

Shapes are torch's: (out, in) for dense, (out, in, kh, kw) for convolutions. Not covered yet: 3-D expert tensors, RNN
gates, 5-D convolutions, and packed quantised weights; each gets a Skip that says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from zoo import dtype as types
from zoo.tensor import Layer, Skip, TensorRef

EMBEDDING_NAMES = frozenset({"wte", "wpe", "lm_head"})
"""Parts of a dotted name that make a 2-D tensor an embedding."""

EMBEDDING_WORDS = frozenset({"embed", "embedding", "embeddings", "embeds"})
"""So does a part with one of these words, such as 'word_embeddings' or 'embed_tokens'..."""

PROJECTION_WORDS = frozenset({"proj", "projection", "mapping", "linear", "dense", "fc", "mlp"})
"""...unless one of these says that it is a dense layer at an embedding, such as 'embedding_hidden_mapping_in'."""

BUFFER_WORDS = frozenset(
    {"running_mean", "running_var", "num_batches_tracked", "inv_freq", "relative_position_index", "attn_mask", "mask"}
)
"""Last parts of names of running statistics and fixed tables."""

GROUPS: dict[str, frozenset[str]] = {
    "q": frozenset({"q", "q_proj", "query", "q_lin", "wq", "to_q"}),
    "k": frozenset({"k", "k_proj", "key", "k_lin", "wk", "to_k"}),
    "v": frozenset({"v", "v_proj", "value", "v_lin", "wv", "to_v"}),
    "o": frozenset({"o", "o_proj", "out_proj", "out_lin", "wo", "to_out"}),
    "gate": frozenset({"gate_proj", "w1"}),
    "up": frozenset({"up_proj", "w3", "fc1", "c_fc"}),
    "down": frozenset({"down_proj", "w2", "fc2"}),
}
"""Role of a weight in a transformer block -> the parts of names that say so."""

MAX_KERNEL = 31
"""Longest 1-D kernel that is analysed slice by slice; longer last axes are no kernels (wav2vec's is 128, and dense)."""


def layers(tensors: Sequence[TensorRef]) -> tuple[list[Layer], list[Skip]]:
    """Weights that can be analysed, and a Skip for every other tensor, both in checkpoint order.

    layer_id is a tensor's position in `tensors`, so it does not change when rules do.
    """
    found: list[Layer] = []
    skips: list[Skip] = []
    for position, ref in enumerate(tensors):
        skip = reason_to_skip(ref)
        if skip is not None:
            skips.append(skip)
        else:
            longname = ref.name.removesuffix(".weight")
            found.append(Layer(position, longname, layer_type(ref.name, ref.shape), group(longname), ref))
    return found, skips


def reason_to_skip(ref: TensorRef) -> Skip | None:
    """Why a tensor is no analysable weight; None when it is one."""
    last = ref.name.rsplit(".", 1)[-1]
    shape = "x".join(map(str, ref.shape))
    if 0 in ref.shape:
        return Skip(ref.name, "empty", f"shape {shape}", False)
    if last in BUFFER_WORDS:
        return Skip(ref.name, "buffer", f"{last} of shape {shape or 'scalar'}", False)
    if len(ref.shape) == 0:
        return Skip(ref.name, "scalar", f"a single {ref.dtype}", False)
    if ref.dtype not in types.FLOATING:
        return Skip(ref.name, "not_floating", f"{ref.dtype} of shape {shape}", False)
    if len(ref.shape) == 1:
        return Skip(ref.name, "vector", f"{ref.shape[0]} numbers", False)
    if len(ref.shape) > 4 or (len(ref.shape) == 3 and not _is_conv1d(ref.shape)):
        return Skip(ref.name, "unsupported_shape", f"{len(ref.shape)}-D tensor {shape}: no rule splits it yet", True)
    return None


def layer_type(name: str, shape: tuple[int, ...]) -> str:
    """'dense', 'embedding', 'conv1d' or 'conv2d', for a tensor that is analysed."""
    if len(shape) == 4:
        return "conv2d"
    if len(shape) == 3:
        return "conv1d"
    parts = name.lower().removesuffix(".weight").split(".")[-2:]
    words = {word for part in parts for word in part.split("_")}
    if EMBEDDING_NAMES & set(parts) or (EMBEDDING_WORDS & words and not PROJECTION_WORDS & words):
        return "embedding"
    return "dense"


def group(longname: str) -> str | None:
    """Role of a weight inside its block, from the last two parts of its name; 'expert 3' inside a list of experts."""
    expert = re.search(r"(?:^|\.)experts?\.(\d+)(?:\.|$)", longname)
    if expert:
        return f"expert {expert[1]}"
    parts = longname.lower().split(".")
    if longname.endswith("attention.output.dense"):  # BERT's name for the output projection
        return "o"
    return next((role for role, words in GROUPS.items() if words & set(parts[-2:])), None)


def _is_conv1d(shape: tuple[int, ...]) -> bool:
    """Whether (out, in, k) is a 1-D convolution: a short last axis, and channels on the first two."""
    return shape[2] <= MAX_KERNEL and shape[2] <= max(shape[0], shape[1])
