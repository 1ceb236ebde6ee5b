"""Weight normalisation: W = g v / |v|, the norm over all axes but those of g.

Names: X_g and X_v (torch.nn.utils.weight_norm), parametrizations.X.original0 and original1 (its successor), g and v of
a module. g has v's axes with 1 where the norm runs, or is one number, or has one for each first index.
Source: Salimans, Kingma, arXiv:1602.07868, equation 2; equivalent to torch._weight_norm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.parametrizations import groups
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every weight stored so, in the place of v."""
    pairs = [(plain, p["original0"], p["original1"]) for plain, p in groups(refs).items() if len(p) == 2 and _new(p)]
    for name, v in refs.items():
        module, dot, last = name.rpartition(".")
        plain = f"{module}{dot}weight" if last == "v" else name.removesuffix("_v")
        g = refs.get(f"{module}{dot}g" if last == "v" else f"{plain}_g")
        if (last == "v" or name.endswith("_v")) and g is not None and plain not in refs:
            pairs.append((plain, g, v))
    for plain, g, v in pairs:
        if len(v.shape) > 1 and _gains(g.shape, v.shape) is not None and {g.dtype, v.dtype} <= types.FLOATING:
            assembly = Assembly("weight_norm", (g, v), (), v.shape, v.dtype)
            yield PackedWeight(v.name, plain, assembly, (g.name,), companion_reason=Reason.BUFFER)


def _new(parts: Mapping[str, TensorRef]) -> bool:
    return parts.keys() == {"original0", "original1"}


def _gains(g: tuple[int, ...], v: tuple[int, ...]) -> tuple[int, ...] | None:
    """Shape of the gains with all of v's axes; None when they are no gains of v."""
    if prod(g) == 1:
        return (1,) * len(v)
    if len(g) == 1:
        return (g[0], *([1] * (len(v) - 1))) if g[0] == v[0] else None
    fits = len(g) == len(v) and all(size in (1, whole) for size, whole in zip(g, v, strict=True))
    return g if fits and prod(g) < prod(v) else None


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """The weight, float32: computed in float64 and rounded once; CheckpointError when a norm is 0."""
    g, v = (part.astype(np.float64) for part in parts)
    gains = g.reshape(_gains(g.shape, shape) or ())
    axes = tuple(axis for axis, size in enumerate(gains.shape) if size == 1)
    norm = np.sqrt((v * v).sum(axis=axes, keepdims=True))
    if not norm.all():
        raise CheckpointError(Reason.NON_FINITE, "weight normalisation of a direction of length 0")
    return np.asarray(gains * (v / norm), dtype=np.float32)
