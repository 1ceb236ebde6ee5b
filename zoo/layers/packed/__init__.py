"""Weights that are stored in several tensors, or packed: recognised by name and shape, computed by the worker.

One file a scheme. What looks packed and is none of these is refused by name: integers are never fitted as weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.layers.packed import (
    adapters,
    affine,
    awq,
    bitsandbytes,
    gptq,
    parametrizations,
    prune,
    scaled,
    spectral_norm,
    weight_norm,
)
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs

SCHEMES: dict[str, Callable[[list[AnyArray], Options, tuple[int, ...]], AnyArray]] = {
    "affine": affine.values,
    "gptq": gptq.values,
    "awq": awq.values,
    "bnb4": bitsandbytes.values_4bit,
    "int8": bitsandbytes.values_int8,
    "scaled": scaled.values,
    **adapters.VALUES,
    "pruned": prune.values,
    "weight_norm": weight_norm.values,
    "spectral_norm": spectral_norm.values,
}
"""Assembly.scheme -> (arrays of its parts, options, shape) -> values."""

FINDERS: tuple[Callable[[Refs, Mapping[str, Any]], Iterator[PackedWeight]], ...] = (
    affine.find,
    gptq.find,
    awq.find,
    bitsandbytes.find,
    scaled.find,
    *adapters.FINDERS,
    weight_norm.find,
    spectral_norm.find,
    prune.find,
    parametrizations.find,
)
"""Recognisers; a tensor belongs to the first that claims it."""

REFUSED: tuple[tuple[str, str], ...] = (
    (r"\.qweight$|\.B$|\.qzeros$", "packed integers of no known layout (Marlin, AWQ gemv, ...)"),
    (r"\.weight_packed$", "compressed-tensors' packed integers"),
    (r"\.W_q$", "HQQ"),
    (r"\.(codes|codebooks)$", "AQLM"),
    (r"_blocks$", "MXFP4 blocks"),
    (r"\._data$|\._packed$", "quanto"),
    (r"\.Qidxs\w*$|\.trellis$", "QuIP# or QTIP"),
    (r"_quantized$", "ONNX QDQ integers"),
    (r"(^|\.)weight$|\.kernel$", "integer weights without a known scale"),
)
"""Names of packed weights that cannot be unpacked -> what they are."""


def packed(tensors: Sequence[TensorRef], config: Mapping[str, Any]) -> list[PackedWeight]:
    """Every packed weight of a checkpoint, refused ones among them; no tensor is claimed twice."""
    refs: Refs = {ref.name: ref for ref in tensors}
    weights: list[PackedWeight] = []
    claimed: set[str] = set()
    for finder in FINDERS:
        for weight in finder(refs, config):
            names = {weight.main, *weight.companions}
            if not names & claimed:
                claimed |= names
                weights.append(weight)
    for ref in tensors:
        if ref.name not in claimed and len(ref.shape) >= 2 and 0 not in ref.shape and _is_integer(ref):
            what = _refusal(ref.name, config)
            if what:
                detail = f"{what}: {ref.dtype} of shape {'x'.join(map(str, ref.shape))} is not unpacked"
                weights.append(PackedWeight(ref.name, ref.name, None, refusal=detail))
    return weights


def _is_integer(ref: TensorRef) -> bool:
    """Whether the type may hold packed codes; nobody packs into 64 bits: those are indices and shapes."""
    return ref.dtype in types.CARRIERS and ref.dtype.startswith(("int", "uint")) and not ref.dtype.endswith("64")


def _refusal(name: str, config: Mapping[str, Any]) -> str | None:
    """What packed integers of this name are; None when nothing says that they are weights."""
    section = config.get("quantization_config")
    method = section.get("quant_method") if isinstance(section, Mapping) else None
    known = next((what for pattern, what in REFUSED if re.search(pattern, name)), None)
    if isinstance(method, str) and known:
        return f"{known} (quantization_config says {method[:40]})"
    return known
