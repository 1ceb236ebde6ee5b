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
from zoospectra.zoo.checkpoint.view import shape_after
from zoospectra.zoo.layers.buffers import buffer
from zoospectra.zoo.layers.layer import Assembly, Layer
from zoospectra.zoo.layers.packed import packed
from zoospectra.zoo.layers.packed.weight import PackedWeight
from zoospectra.zoo.layers.split import split
from zoospectra.zoo.layers.split.part import Context, LayerPart
from zoospectra.zoo.layers.split.plain import CONVOLUTION
from zoospectra.zoo.layers.split.tables import POSITIONS

DEPTHWISE, DEPTHWISE_DENSE = "depthwise", "depthwise_dense"
"""Types of layers whose matrices have M = 1."""


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
    shapes |= {weight.name: weight.assembly.shape for weight in weights if weight.assembly}
    context = Context(shapes, config)
    number = 0
    for ref in tensors:
        if ref.name in mains:
            result = _unpacked(ref, mains[ref.name], context, number)
        elif ref.name in owners:
            owner = owners[ref.name]
            result = Skip(ref.name, owner.companion_reason, f"part of {owner.longname}", False)
        else:
            result = reason_to_skip(ref, context) or _stored(ref, context, number)
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
    parts = weight.parts or split(weight.name, assembly.shape, context)
    if parts is None:
        detail = f"{assembly.dtype} of shape {assembly.shape}: no rule splits it"
        return Skip(ref.name, Reason.UNSUPPORTED_SHAPE, detail, True)
    return _layers(number, weight.longname, parts, ref, assembly)


def _layers(
    number: int, longname: str, parts: Sequence[LayerPart], ref: TensorRef, assembly: Assembly | None
) -> list[Layer | Skip]:
    """One layer a part, numbered from `number` on; a row for a fused matrix whose parts are not known."""
    stored = assembly.shape if assembly else ref.shape
    made: list[Layer | Skip] = [
        Layer(
            number + count,
            f"{longname}.{part.suffix}" if part.suffix else longname,
            _layer_type(part, stored),
            part.group,
            ref,
            part.view,
            assembly,
        )
        for count, part in enumerate(parts)
    ]
    return made + [Skip(ref.name, Reason.UNSPLIT, part.unsplit, False) for part in parts if part.unsplit]


def _layer_type(part: LayerPart, stored: tuple[int, ...]) -> str:
    """Type of a part of a tensor of shape `stored`; of matrices with one column, whose one value fits nothing, its own.

    'depthwise' is a convolution (of each channel, or to a single one), 'depthwise_dense' is any other.
    """
    shape = shape_after(stored, part.view)
    if min(shape[:2]) > 1 or part.layer_type == "embedding" or part.layer_type.endswith("_part"):
        return part.layer_type
    return DEPTHWISE if part.layer_type.startswith("conv") else DEPTHWISE_DENSE


def reason_to_skip(ref: TensorRef, context: Context) -> Skip | None:
    """Why a tensor is no analysable weight; None when it is one."""
    last = ref.name.rsplit(".", 1)[-1]
    shape = "x".join(map(str, ref.shape))
    if 0 in ref.shape:
        return Skip(ref.name, Reason.EMPTY, f"shape {shape}", False)
    no_weight = buffer(ref.name, ref.shape, context.shapes)
    if no_weight:
        return Skip(ref.name, *no_weight, False)
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
    # (1, 96, 1, 1) is a convolution to one channel where a name says so, or nothing else can be: ONNX numbers tensors.
    kernel = last in ("weight", "kernel") or CONVOLUTION.search(ref.name.lower()) or ref.name.isdigit()
    if len(ref.shape) > 2 and sum(size > 1 for size in ref.shape) < 2 and not kernel:
        return Skip(ref.name, Reason.VECTOR, f"{max(ref.shape)} numbers of shape {shape}", False)
    return None
