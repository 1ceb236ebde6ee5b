"""Which tensors are weights, and which layers they hold: by name, shape and configuration.

What belongs together is put together first (packed/), what is several matrices is split then (split/). Every
tensor that is in no layer gets a Skip with its reason. Shapes are torch's: (out, in), (out, in, kh, kw).
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.pair import base_of
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip
from zoospectra.zoo.checkpoint.view import shape_after
from zoospectra.zoo.layers.buffers import buffer
from zoospectra.zoo.layers.layer import Assembly, Layer
from zoospectra.zoo.layers.merged import with_base
from zoospectra.zoo.layers.packed import packed
from zoospectra.zoo.layers.packed.weight import PackedWeight
from zoospectra.zoo.layers.rules import NO_RULES, Override, Rules, parts_of, relaid
from zoospectra.zoo.layers.split import split
from zoospectra.zoo.layers.split.part import Context, LayerPart
from zoospectra.zoo.layers.split.plain import CONVOLUTION, plain
from zoospectra.zoo.layers.split.tables import POSITIONS

DEPTHWISE, DEPTHWISE_DENSE = "depthwise", "depthwise_dense"
"""Types of layers whose matrices have M = 1."""

MOST, LONGEST = 500, 1 << 14
"""Tensors, and bytes of its configuration, of the largest checkpoint whose layers are kept for the next one like it."""

NOTHING = Override("")
"""What a user says about a tensor that no rule of his is about."""


def layers(
    tensors: Sequence[TensorRef], config: Mapping[str, Any] | None = None, rules: Rules = NO_RULES
) -> tuple[list[Layer], list[Skip]]:
    """Layers that can be analysed, and a Skip for every tensor that is in none, both in checkpoint order.

    config: Checkpoint.config; rules: a user's own, which come before ours. Reads no weights, only the small
    descriptions of 4-bit ones. layer_id counts in checkpoint order: a tensor takes one number, one that holds several
    layers takes as many. An adapter that was opened with its base gives the base's layers that it touches.
    """
    base = base_of(config or {})
    if base is None:
        return (None if rules.overrides else _as_before(tensors, config or {})) or _layers_of(tensors, config, rules)
    made = _layers_of(tensors, config, rules)
    return with_base(base, tensors, config or {}, made, _layers_of(base.tensors, base.config, rules)[0])


def _as_before(tensors: Sequence[TensorRef], config: Mapping[str, Any]) -> tuple[list[Layer], list[Skip]] | None:
    """Layers as of another checkpoint with the same names, types and shapes; None where their bytes may matter."""
    try:
        known = marshal.dumps(dict(config), 2)  # by value, and of plain values alone
    except ValueError:
        return None
    if len(tensors) > MOST or len(known) > LONGEST:
        return None
    same = _by_names(tuple((r.name, r.dtype, r.shape, r.stride, r.nbytes, r.codec, r.axis) for r in tensors), known)
    if same is None:
        return None
    chosen, skips = same
    return [Layer(e.layer_id, e.longname, e.layer_type, e.group, tensors[n], e.view) for n, e in chosen], [*skips]


@lru_cache(maxsize=16)
def _by_names(
    described: tuple[tuple[Any, ...], ...], known: bytes
) -> tuple[list[tuple[int, Layer]], list[Skip]] | None:
    """Layers of tensors without bytes, each with the number of its tensor; None where something is packed."""
    tensors = [
        TensorRef(name, "", kind, shape, stride, 0, nbytes, codec=codec, axis=axis)
        for name, kind, shape, stride, nbytes, codec, axis in described
    ]
    config = marshal.loads(known)
    try:
        if packed(tensors, config):
            return None
        chosen, skips = _layers_of(tensors, config, NO_RULES, ())
    except CheckpointError:  # a description that is read
        return None
    numbers = {id(ref): number for number, ref in enumerate(tensors)}
    return [(numbers[id(layer.ref)], layer) for layer in chosen], skips


def _layers_of(
    tensors: Sequence[TensorRef],
    config: Mapping[str, Any] | None,
    rules: Rules,
    weights: Sequence[PackedWeight] | None = None,
) -> tuple[list[Layer], list[Skip]]:
    """Layers of one checkpoint by itself; weights: what is packed in it, where that is known."""
    chosen: list[Layer] = []
    skips: list[Skip] = []
    config = config or {}
    overrides = {ref.name: rules.of(ref.name) for ref in tensors} if rules.overrides else {}
    tensors = [relaid(ref, overrides[ref.name]) for ref in tensors] if overrides else tensors
    if weights is None:
        weights = packed([ref for ref in tensors if overrides.get(ref.name, NOTHING).weight is None], config)
    mains = {weight.main: weight for weight in weights}
    owners = {name: weight for weight in weights for name in weight.companions}
    # Rules that look at a sibling see a packed weight by the shape of its values, not of its codes.
    shapes = {ref.name: ref.shape for ref in tensors}
    shapes |= {weight.name: weight.assembly.shape for weight in weights if weight.assembly}
    context = Context(shapes, config)
    number = 0
    for ref in tensors:
        override = overrides.get(ref.name, NOTHING)
        result: list[Layer | Skip] | Skip
        if override.weight is False:
            result = Skip(ref.name, Reason.BUFFER, f"zoo.rules says so: {override.glob}", False)
        elif override.weight:
            result = _stored(ref, context, number, override)
        elif ref.name in mains:
            result = _unpacked(ref, mains[ref.name], context, number)
        elif ref.name in owners:
            owner = owners[ref.name]
            result = Skip(ref.name, owner.companion_reason, f"part of {owner.longname}", False)
        else:
            result = reason_to_skip(ref, context) or _stored(ref, context, number, override)
        results = [result] if isinstance(result, Skip) else result
        skips += [entry for entry in results if isinstance(entry, Skip)]
        made = [e for e in results if isinstance(e, Layer)]
        if override.scale:
            made = [replace(e, factor=override.scale) for e in made]
        chosen += made
        number += max(len(made), 1)
    return chosen, skips


def _stored(ref: TensorRef, context: Context, number: int, override: Override) -> list[Layer | Skip] | Skip:
    """Layers of a tensor of floating-point weights; a Skip when no rule knows what it is: it could be a weight."""
    if override.split is not None:
        whole = plain(ref.name, ref.shape, context)
        parts = parts_of(ref.shape, whole[0], override) if whole else None
    else:
        parts = split(ref.name, ref.shape, context)
    if parts is None:
        shape = "x".join(map(str, ref.shape))
        return Skip(ref.name, Reason.UNSUPPORTED_SHAPE, f"{len(ref.shape)}-D tensor {shape}: no rule splits it", True)
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
