"""Which tensors are weights, and which layers they hold: by name, shape and configuration.

What belongs together is put together first (packed/), what is several matrices is split then (split/). Every
tensor that is in no layer gets a Skip with its reason. Shapes are torch's: (out, in), (out, in, kh, kw).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import Reason, Skip
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.packed import packed
from zoospectra.zoo.layers.packed.found import Found
from zoospectra.zoo.layers.split import Around, Part, split
from zoospectra.zoo.layers.split.roles import role
from zoospectra.zoo.layers.split.tables import POSITIONS

BUFFERS = frozenset(
    {
        "running_mean",
        "running_var",
        "moving_mean",
        "moving_variance",
        "num_batches_tracked",
        "inv_freq",
        "rope_freqs",
        "relative_position_index",
        "relative_coords_table",
        "attn_mask",
        "masked_bias",
        "mask",
    }
)
"""Last parts of names of running statistics and fixed tables."""


def layers(tensors: Sequence[TensorRef], config: Mapping[str, Any] | None = None) -> tuple[list[Layer], list[Skip]]:
    """Layers that can be analysed, and a Skip for every tensor that is in none, both in checkpoint order.

    config: Checkpoint.config. Reads no weights, only the small descriptions of 4-bit ones. layer_id counts in
    checkpoint order: a tensor takes one number, one that holds several layers takes as many.
    """
    found: list[Layer] = []
    skips: list[Skip] = []
    config = config or {}
    weights = packed(tensors, config)
    mains = {one.main: one for one in weights}
    others = {name: one for one in weights for name in one.others}
    shapes = {ref.name: ref.shape for ref in tensors}
    shapes |= {f"{one.longname}.weight": one.assembly.shape for one in weights if one.assembly}
    around = Around(shapes, config)
    number = 0
    for ref in tensors:
        made: list[Layer] = []
        if ref.name in mains:
            made, skip = _unpacked(ref, mains[ref.name], around, number)
        elif ref.name in others:
            owner = others[ref.name]
            skip = Skip(ref.name, owner.part_reason, f"part of {owner.longname}", False)
        else:
            skip = reason_to_skip(ref)
            if skip is None:
                made, skip = _layers_of(ref, around, number)
        found += made
        skips += [skip] if skip else []
        number += max(len(made), 1)
    return found, skips


def _layers_of(ref: TensorRef, around: Around, number: int) -> tuple[list[Layer], Skip | None]:
    """Layers of a tensor of floating-point weights; a Skip when no rule knows what it is."""
    parts = split(ref.name, ref.shape, around)
    if parts is None:
        shape = "x".join(map(str, ref.shape))
        table = ref.name.rpartition(".")[2] not in ("weight", "kernel")  # a parameter of its own, no layer's matrix
        return [], Skip(
            ref.name, Reason.UNSUPPORTED_SHAPE, f"{len(ref.shape)}-D tensor {shape}: no rule splits it", not table
        )
    longname = ref.name.removesuffix(".weight").removesuffix(".kernel")
    return [_layer(number + count, longname, part, ref) for count, part in enumerate(parts)], None


def _layer(number: int, longname: str, part: Part, ref: TensorRef) -> Layer:
    name = f"{longname}.{part.suffix}" if part.suffix else longname
    return Layer(number, name, part.layer_type, part.group, ref, part.view)


def _unpacked(ref: TensorRef, one: Found, around: Around, number: int) -> tuple[list[Layer], Skip | None]:
    """Layers of a packed weight; a Skip when it is refused."""
    made = one.assembly
    if made is None:
        return [], Skip(ref.name, one.reason, one.refused, True)
    if one.layer_type is not None:
        return [Layer(number, one.longname, one.layer_type, role(one.longname), ref, (), made)], None
    parts = split(f"{one.longname}.weight", made.shape, around)
    if parts is None:
        return [], Skip(
            ref.name, Reason.UNSUPPORTED_SHAPE, f"{made.dtype} of shape {made.shape}: no rule splits it", True
        )
    names = [f"{one.longname}.{part.suffix}" if part.suffix else one.longname for part in parts]
    return [
        Layer(number + count, name, part.layer_type, part.group, ref, part.view, made)
        for count, (name, part) in enumerate(zip(names, parts, strict=True))
    ], None


def reason_to_skip(ref: TensorRef) -> Skip | None:
    """Why a tensor is no analysable weight; None when it is one."""
    last = ref.name.rsplit(".", 1)[-1]
    shape = "x".join(map(str, ref.shape))
    if 0 in ref.shape:
        return Skip(ref.name, Reason.EMPTY, f"shape {shape}", False)
    if last in BUFFERS:
        return Skip(ref.name, Reason.BUFFER, f"{last} of shape {shape or 'scalar'}", False)
    if len(ref.shape) == 0:
        return Skip(ref.name, Reason.SCALAR, f"a single {ref.dtype}", False)
    if ref.dtype not in types.FLOATING:
        return Skip(ref.name, Reason.NOT_FLOATING, f"{ref.dtype} of shape {shape}", False)
    if len(ref.shape) == 1:
        return Skip(ref.name, Reason.VECTOR, f"{ref.shape[0]} numbers", False)
    if last == "bias" or (last.endswith("_bias") and not POSITIONS.search(last)):
        if len(ref.shape) == 4 and ref.shape[:2] == (1, 1):  # GPT-2's causal mask
            return Skip(ref.name, Reason.BUFFER, f"a mask of shape {shape}", False)
        return Skip(ref.name, Reason.VECTOR, f"biases of shape {shape}", False)
    if len(ref.shape) > 2 and sum(size > 1 for size in ref.shape) < 2 and last not in ("weight", "kernel"):
        return Skip(ref.name, Reason.VECTOR, f"{max(ref.shape)} numbers of shape {shape}", False)
    return None
