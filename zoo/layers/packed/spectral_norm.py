"""Spectral normalisation: W = stored / sigma, sigma = u^T stored v, as an evaluating network computes it.

Names: X_orig (or X_bar), X_u and X_v (torch.nn.utils.spectral_norm), parametrizations.X.original, 0._u and 0._v (its
successor); weight, u0 and sv0 (BigGAN: v and sigma by one step of power iteration from u0). The stored weight is a
matrix with the axis of u as its rows: the first, or the second of a transposed convolution.
Source: Miyato et al., arXiv:1802.05957, section 2.1; equivalent to torch.nn.utils.parametrizations.spectral_norm.
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
    """Every weight stored so."""
    for plain, parts in groups(refs).items():
        if parts.keys() == {"original", "0._u", "0._v"}:
            yield from _weight(plain, parts["original"], parts["0._u"], parts["0._v"])
    for name, u in refs.items():
        if name.endswith("_u"):
            plain = name.removesuffix("_u")
            stored = refs.get(f"{plain}_orig") or refs.get(f"{plain}_bar")
            if stored is not None and f"{plain}_mask" not in refs:
                yield from _weight(plain, stored, u, refs.get(f"{plain}_v"))
        elif name.endswith(".u0") and f"{name[:-3]}.weight" in refs and f"{name[:-3]}.sv0" in refs:
            plain = f"{name[:-3]}.weight"
            yield from _weight(plain, refs[plain], u, None, (f"{name[:-3]}.sv0",))


def _weight(
    plain: str, stored: TensorRef, u: TensorRef, v: TensorRef | None, more: tuple[str, ...] = ()
) -> Iterator[PackedWeight]:
    """The weight, where the vectors fit it."""
    parts = (stored, u) if v is None else (stored, u, v)
    if len(stored.shape) < 2 or not {part.dtype for part in parts} <= types.FLOATING:
        return
    if _axes(stored.shape, prod(u.shape), None if v is None else prod(v.shape)):
        assembly = Assembly("spectral_norm", parts, (), stored.shape, stored.dtype)
        companions = (*(part.name for part in parts[1:]), *more)
        yield PackedWeight(stored.name, plain, assembly, companions, companion_reason=Reason.BUFFER)


def _axes(shape: tuple[int, ...], u: int, v: int | None) -> list[int]:
    """Axes that can be the rows."""
    return [axis for axis in (0, 1) if shape[axis] == u and v in (None, prod(shape) // max(u, 1))]


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """The weight, float32: computed in float64 and rounded once; CheckpointError when sigma is 0."""
    stored, u, *rest = (part.astype(np.float64) for part in parts)
    u = u.reshape(-1)
    sigmas = []
    for axis in _axes(shape, u.size, rest[0].size if rest else None):
        matrix = np.moveaxis(stored, axis, 0).reshape(u.size, -1)
        if rest:
            sigmas.append(float(u @ matrix @ rest[0].reshape(-1)))
        else:
            v = matrix.T @ u
            sigmas.append(float(np.linalg.norm(matrix @ (v / (np.linalg.norm(v) or 1.0)))))
    # Where both axes fit, vectors that belong to the other one give next to nothing.
    sigma = max(sigmas, key=abs)
    if sigma == 0 or not np.isfinite(sigma):
        raise CheckpointError(Reason.NON_FINITE, f"spectral normalisation by {sigma}")
    return (stored / sigma).astype(np.float32)
