"""LoHa and LoKr: Hadamard and Kronecker products of low-rank products, written by LyCORIS and by PEFT.

LoHa: W = scale (w1_a w1_b) o (w2_a w2_b), w_a (out, r), w_b (r, in). LoKr: W = scale w1 (x) w2, each of the two whole
or w_a w_b. Tucker forms of convolutions have a core t (r, r, kh, kw): w[o, p, k] = a[i, o] t[i, j, k] b[j, p]. scale is
alpha / r; LyCORIS takes 1 where both of LoKr's matrices are whole. A convolution's product is (out, in kh kw). Both
are of low rank themselves, r^2 for LoHa, which their factors show.
Source: https://github.com/KohakuBlueleaf/LyCORIS, lycoris/functional/loha.py, lokr.py; peft/tuners/loha, lokr.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.adapters.lora import DORA, MAGNITUDES, MAX_PRODUCT
from zoospectra.zoo.layers.packed.adapters.names import PREFIX
from zoospectra.zoo.layers.packed.adapters.scale import Scale, scale
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs, part_of
from zoospectra.zoo.layers.split.part import LayerPart
from zoospectra.zoo.layers.split.roles import role

FACTOR = re.compile(r"^(?P<base>.+?)[._](?P<kind>hada|lokr)_(?P<part>[wt][12](?:_[ab])?)(?:\.default)?$")
"""Names of factors."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every product whose factors are all there and fit."""
    groups: dict[tuple[str, str], dict[str, TensorRef]] = {}
    for name, ref in refs.items():
        match = FACTOR.match(name)
        if match and len(ref.shape) > 1 and ref.dtype in types.FLOATING:
            groups.setdefault((match["base"], match["kind"]), {})[match["part"]] = ref
    for (base, kind), parts in groups.items():
        shape = _loha(parts) if kind == "hada" else _lokr(parts)
        if shape is not None:
            yield _weight(base, kind, parts, shape, refs, config)


def _weight(
    base: str,
    kind: str,
    parts: Mapping[str, TensorRef],
    shape: tuple[int, int],
    refs: Refs,
    config: Mapping[str, Any],
) -> PackedWeight:
    """One update."""
    module = base.removeprefix(PREFIX)
    rank = next((ref.shape[0] for name, ref in parts.items() if name.endswith("_b")), 0)
    alpha = refs.get(f"{base}.alpha")
    adapter = part_of(config, "adapter")
    whole = kind == "lokr" and {"w1", "w2"} <= parts.keys()
    if whole and not adapter:
        known, alpha = Scale(1.0), None
    elif whole or not rank:
        r = adapter.get("r")
        known = scale(module, r if type(r) is int and r > 0 else 1, config)
    else:
        known = scale(module, rank, config)
    names = tuple(parts)
    refs_of = (*parts.values(), *([alpha] if alpha is not None and prod(alpha.shape) == 1 else []))
    note = "" if len(refs_of) > len(names) else known.note
    if any(f"{base}.{last}" in refs for last in MAGNITUDES):
        note = f"{note}; {DORA}" if note else DORA
    first, *others = (ref.name for ref in refs_of)
    weight = PackedWeight(first, module, None, tuple(others), companion_reason=Reason.LORA_FACTOR)
    if prod(shape) > MAX_PRODUCT:
        detail = f"a product of {shape[0]} x {shape[1]}, at most {MAX_PRODUCT} elements are computed"
        return replace(weight, refusal=detail, reason=Reason.TOO_LARGE)
    options = (("scale", known.value), ("rank", rank), ("parts", " ".join(names)))
    scheme = "loha" if kind == "hada" else "lokr"
    assembly = Assembly(scheme, refs_of, options, shape, next(iter(parts.values())).dtype, note)
    return replace(weight, assembly=assembly, parts=(LayerPart("", "lora", role(module)),))


def _loha(parts: Mapping[str, TensorRef]) -> tuple[int, int] | None:
    """Shape of a LoHa's product; None when it has none."""
    sides = [_side(parts, f"w{side}", f"t{side}") for side in (1, 2)]
    first, second = sides
    return None if first is None or second is None or first != second else (first[0], prod(first[1:]))


def _lokr(parts: Mapping[str, TensorRef]) -> tuple[int, int] | None:
    """Shape of a LoKr's product; None when it has none."""
    first, second = (_side(parts, f"w{side}", f"t{side}") for side in (1, 2))
    if first is None or second is None or len(first) != 2:
        return None
    return first[0] * second[0], first[1] * prod(second[1:])


def _side(parts: Mapping[str, TensorRef], name: str, core: str) -> tuple[int, ...] | None:
    """Shape of one of the two matrices."""
    if name in parts:
        return parts[name].shape
    a, b, t = (parts.get(part) for part in (f"{name}_a", f"{name}_b", core))
    if a is None or b is None or len(a.shape) != 2:
        return None
    if t is not None:
        fits = len(b.shape) == 2 and len(t.shape) > 2 and t.shape[:2] == (a.shape[0], b.shape[0])
        return (a.shape[1], b.shape[1], *t.shape[2:]) if fits else None
    return (a.shape[0], *b.shape[1:]) if a.shape[1] == b.shape[0] else None


def _named(parts: list[AnyArray], options: Options) -> tuple[dict[str, AnyArray], float]:
    """Factors by name in float64, and the scale."""
    names = str(options["parts"]).split(" ")
    arrays = {name: np.asarray(part, dtype=np.float64) for name, part in zip(names, parts, strict=False)}
    value = float(options["scale"])
    if len(parts) > len(names):
        value = float(parts[-1].reshape(-1)[0]) / max(int(options["rank"]), 1)
    return arrays, value


def _matrices(arrays: Mapping[str, AnyArray], side: int) -> tuple[AnyArray, AnyArray]:
    """Two factors (a, r) and (r, b) of one of the two matrices; a whole one is a factor of the identity."""
    whole, a, b, t = (arrays.get(name) for name in (f"w{side}", f"w{side}_a", f"w{side}_b", f"t{side}"))
    if whole is not None:
        flat = whole.reshape(len(whole), -1)
        return (np.eye(len(flat)), flat) if len(flat) < flat.shape[1] else (flat, np.eye(flat.shape[1]))
    assert a is not None
    assert b is not None
    if t is not None:
        return a.T, np.einsum("ij...,jp->ip...", t, b).reshape(len(t), -1)
    return a, b.reshape(len(b), -1)


def loha_factors(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> tuple[AnyArray, AnyArray] | None:
    """Factors (out, r^2) and (r^2, in): (A B) o (C D) is the sum of all (A_i o C_j)(B_i o D_j); None unless thin."""
    arrays, value = _named(parts, options)
    (a, b), (c, d) = (_matrices(arrays, side) for side in (1, 2))
    if a.shape[1] * c.shape[1] > min(shape):
        return None
    up = (a[:, :, None] * c[:, None, :]).reshape(len(a), -1)
    return up * value, (b[:, None, :] * d[None, :, :]).reshape(-1, b.shape[1])


def loha(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """The scaled product (out, in) in float64."""
    arrays, value = _named(parts, options)
    (a, b), (c, d) = (_matrices(arrays, side) for side in (1, 2))
    return np.asarray((a @ b) * (c @ d) * value)


def lokr_factors(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> tuple[AnyArray, AnyArray] | None:
    """Factors of the Kronecker product: (A B) (x) (C D) = (A (x) C)(B (x) D); None unless they are thin."""
    arrays, value = _named(parts, options)
    (a, b), (c, d) = (_matrices(arrays, side) for side in (1, 2))
    if a.shape[1] * c.shape[1] > min(shape):
        return None
    return np.kron(a, c) * value, np.kron(b, d)


def lokr(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """The scaled product (out, in) in float64."""
    arrays, value = _named(parts, options)
    (a, b), (c, d) = (_matrices(arrays, side) for side in (1, 2))
    return np.asarray(np.kron(a @ b, c @ d) * value)
