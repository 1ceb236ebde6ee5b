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
from zoospectra.zoo.layers.layer import Assembly, Layer
from zoospectra.zoo.layers.packed import packed
from zoospectra.zoo.layers.packed.weight import PackedWeight
from zoospectra.zoo.layers.split import split
from zoospectra.zoo.layers.split.part import Context, LayerPart
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
    chosen: list[Layer] = []
    skips: list[Skip] = []
    config = config or {}
    weights = packed(tensors, config)
    mains = {weight.main: weight for weight in weights}
    owners = {name: weight for weight in weights for name in weight.companions}
    # Rules that look at a sibling see a packed weight by the shape of its values, not of its codes.
    shapes = {ref.name: ref.shape for ref in tensors}
    shapes |= {f"{weight.longname}.weight": weight.assembly.shape for weight in weights if weight.assembly}
    context = Context(shapes, config)
    number = 0
    for ref in tensors:
        if ref.name in mains:
            result = _unpacked(ref, mains[ref.name], context, number)
        elif ref.name in owners:
            owner = owners[ref.name]
            result = Skip(ref.name, owner.companion_reason, f"part of {owner.longname}", False)
        else:
            result = reason_to_skip(ref) or _stored(ref, context, number)
        results = [result] if isinstance(result, Skip) else result
        skips += [entry for entry in results if isinstance(entry, Skip)]
        made = [entry for entry in results if isinstance(entry, Layer)]
        chosen += made
        number += max(len(made), 1)
    return chosen, skips


def _stored(ref: TensorRef, context: Context, number: int) -> list[Layer | Skip] | Skip:
    """Layers of a tensor of floating-point weights; a Skip when no rule knows what it is."""
    parts = split(ref.name, ref.shape, context)
    if parts is None:
        shape = "x".join(map(str, ref.shape))
        kernel = ref.name.rpartition(".")[2] in ("weight", "kernel")  # else a parameter of its own, no layer's matrix
        return Skip(ref.name, Reason.UNSUPPORTED_SHAPE, f"{len(ref.shape)}-D tensor {shape}: no rule splits it", kernel)
    return _layers(number, ref.name.removesuffix(".weight").removesuffix(".kernel"), parts, ref, None)


def _unpacked(ref: TensorRef, weight: PackedWeight, context: Context, number: int) -> list[Layer | Skip] | Skip:
    """Layers of a packed weight; a Skip when it is refused."""
    assembly = weight.assembly
    if assembly is None:
        return Skip(ref.name, weight.reason, weight.refusal, True)
    if weight.layer_type is not None:
        part = LayerPart("", weight.layer_type, role(weight.longname))
        return _layers(number, weight.longname, (part,), ref, assembly)
    parts = split(f"{weight.longname}.weight", assembly.shape, context)
    if parts is None:
        detail = f"{assembly.dtype} of shape {assembly.shape}: no rule splits it"
        return Skip(ref.name, Reason.UNSUPPORTED_SHAPE, detail, True)
    return _layers(number, weight.longname, parts, ref, assembly)


def _layers(
    number: int, longname: str, parts: Sequence[LayerPart], ref: TensorRef, assembly: Assembly | None
) -> list[Layer | Skip]:
    """One layer a part, numbered from `number` on; a row for a fused matrix whose parts are not known."""
    made: list[Layer | Skip] = [
        Layer(
            number + count,
            f"{longname}.{part.suffix}" if part.suffix else longname,
            part.layer_type,
            part.group,
            ref,
            part.view,
            assembly,
        )
        for count, part in enumerate(parts)
    ]
    return made + [Skip(ref.name, Reason.UNSPLIT, part.unsplit, False) for part in parts if part.unsplit]


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
