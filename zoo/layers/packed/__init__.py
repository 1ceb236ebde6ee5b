"""Weights that are stored in several tensors, or packed: recognised by name and shape, computed by the worker.

One file a scheme. What looks packed and is none of these is refused by name: integers are never fitted as weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.layers.packed import (
    adapters,
    affine,
    aqlm,
    awq,
    bitsandbytes,
    blocks,
    compressed_tensors,
    gptq,
    hqq,
    microscaling,
    mlx,
    parametrizations,
    prune,
    quanto,
    refused,
    scaled,
    spectral_norm,
    weight_norm,
)
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs

SCHEMES: dict[str, Callable[[list[AnyArray], Options, tuple[int, ...]], AnyArray]] = {
    "affine": affine.values,
    "blocks": blocks.values,
    "gptq": gptq.values,
    "awq": awq.values,
    "bnb4": bitsandbytes.values_4bit,
    "int8": bitsandbytes.values_int8,
    "microscaling": microscaling.values,
    "pack-quantized": compressed_tensors.values,
    "hqq": hqq.values,
    "quanto": quanto.values,
    "aqlm": aqlm.values,
    "mlx": mlx.values,
    "scaled": scaled.values,
    **adapters.VALUES,
    "pruned": prune.values,
    "weight_norm": weight_norm.values,
    "spectral_norm": spectral_norm.values,
}
"""Assembly.scheme -> (arrays of its parts, options, shape) -> values."""

STACKED = frozenset({"microscaling", "mlx", "scaled"})
"""Schemes whose parts can be cut along their first axis, expert by expert, before anything is computed."""

FINDERS: tuple[Callable[[Refs, Mapping[str, Any]], Iterator[PackedWeight]], ...] = (
    affine.find,
    blocks.find,
    gptq.find,
    awq.find,
    bitsandbytes.find,
    microscaling.find,
    compressed_tensors.find,
    hqq.find,
    quanto.find,
    aqlm.find,
    mlx.find,
    scaled.find,
    weight_norm.find,
    spectral_norm.find,
    prune.find,
    parametrizations.find,
    *adapters.FINDERS,
)
"""Recognisers; a tensor belongs to the first that claims it."""


def packed(tensors: Sequence[TensorRef], config: Mapping[str, Any]) -> list[PackedWeight]:
    """Every packed weight of a checkpoint, refused ones among them; no tensor is claimed twice."""
    refs: Refs = {ref.name: ref for ref in tensors}
    weights: list[PackedWeight] = []
    claimed: set[str] = set()
    for finder in FINDERS:
        for claim in finder(refs, config):
            left = tuple(name for name in claim.companions if name not in claimed)
            # A refusal takes what is left of its parts; a weight needs them all.
            weight = claim if claim.assembly else replace(claim, companions=left)
            names = {weight.main, *weight.companions}
            if not names & claimed:
                claimed |= names
                weights.append(weight)
    return [*weights, *refused.find(refs, config, claimed)]
