"""TransformerLens: attention weights stored head by head, and matrices that are multiplied from the right.

W_Q, W_K, W_V (heads, d_model, d_head) and W_O (heads, d_head, d_model) become the matrices of the model that was
converted, (heads d_head, d_model) and (d_model, heads d_head); each head is a part beside them. W_in, W_gate, W_out
are (in, out), W_U is the unembedding (d_model, vocabulary).
"""

from __future__ import annotations

from zoospectra.zoo.checkpoint.view import Order, Reshape, Take
from zoospectra.zoo.layers.split.part import Context, LayerPart

HEADS: dict[str, str] = {"W_Q": "q", "_W_K": "k", "_W_V": "v", "W_K": "k", "W_V": "v", "W_O": "o"}
"""Last part of a name -> role; grouped keys and values have a line in front."""

DENSE: dict[str, str] = {"W_in": "up", "W_gate": "gate", "W_out": "down"}
EMBEDDINGS: dict[str, bool] = {"W_E": False, "W_pos": False, "W_U": True}
"""Last part of a name -> whether the vocabulary is the last axis."""


def transformer_lens(name: str, shape: tuple[int, ...], context: Context) -> tuple[LayerPart, ...] | None:
    """Layers of a TransformerLens tensor; None for any other name or shape."""
    last = name.rpartition(".")[2]
    if last in HEADS and len(shape) == 3:
        return _heads(HEADS[last], shape)
    if last in DENSE and len(shape) == 2:
        return (LayerPart("", "dense", DENSE[last], (Order((1, 0)),)),)
    if last in EMBEDDINGS and len(shape) == 2:
        return (LayerPart("", "embedding", None, (Order((1, 0)),) if EMBEDDINGS[last] else ()),)
    return None


def _heads(role: str, shape: tuple[int, ...]) -> tuple[LayerPart, ...]:
    """The whole matrix in torch's layout, then every head's part of it."""
    heads, first, second = shape
    if role == "o":
        whole = LayerPart("", "dense", role, (Reshape((heads * first, second)), Order((1, 0))))
    else:
        whole = LayerPart("", "dense", role, (Order((0, 2, 1)), Reshape((heads * second, first))))
    parts = (
        LayerPart(f"head_{head}", "dense_part", f"{role} head {head}", (*_one(head, shape), Order((1, 0))))
        for head in range(heads)
    )
    return (whole, *parts)


def _one(head: int, shape: tuple[int, ...]) -> tuple[Take, Reshape]:
    """One head's matrix, as stored."""
    return Take(0, head, head + 1), Reshape(shape[1:])
