"""Low-rank updates: factors down (r, in) and up (out, r) are one layer, scale up down; one an expert where stacked.

Convolutions: up is 1 x 1, and the product the matrix (out, in kh kw); with a third factor 'mid' (LoCon's Tucker form)
W[o, p, k] = up[o, i] mid[i, j, k] down[j, p]. AdaLoRA: lora_E holds r singular values. Experts: (E, r, in) and
(E, out, r) in GGUF and MLX; in PEFT (target_parameters) the rows of lora_A are E r, expert first, and the columns of
lora_B r E, expert last. At most r of an update's eigenvalues are not zero: `factors` lets the analysis see just those.
Not covered: W + update, for the base is another file; DoRA's magnitudes, which need it (a row and a note say so).
Legend: E experts, r rank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.checkpoint.view import Reshape, Take
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.adapters.names import Pair, pairs
from zoospectra.zoo.layers.packed.adapters.scale import rank_of, scale
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs, part_of
from zoospectra.zoo.layers.split.part import LayerPart
from zoospectra.zoo.layers.split.roles import role

MAX_PRODUCT = 1 << 28
"""Most elements of a product: two thin factors of a few megabytes could ask for any amount of memory."""

MAGNITUDES = (
    "lora_magnitude_vector",
    "lora_magnitude_vector.weight",
    "lora_magnitude_vector.default.weight",
    "dora_scale",
    "m",
)
"""Names of DoRA's magnitudes beside a pair."""

DORA = "without DoRA's magnitudes, which need the base"


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every pair of factors that has a product, in the place of its first factor."""
    for pair in pairs(refs):
        yield from update(pair, refs, config)


def update(pair: Pair, refs: Refs, config: Mapping[str, Any], note: str | None = None) -> Iterator[PackedWeight]:
    """One pair as a layer (or one an expert); `note` is that of a scale that the format fixes at 1."""
    layout = _layout(pair, config)
    if layout is None:
        return
    experts, rank, shape, turned = layout
    known = scale(_module(pair, config), rank, config)
    value, words = (known.value, known.note) if note is None else (1.0, note)
    options: dict[str, int | float | str] = {"scale": value, "experts": experts}
    if turned:
        options["turned"] = 1
    parts = [pair.up, pair.down]
    for last, option in ((".alpha", "alpha"), (".lora_mid.weight", "mid"), (".lora_E", "singular")):
        extra = refs.get(pair.base + last) or refs.get(f"{pair.base}{last}.default")
        if extra is not None and (last != ".alpha" or prod(extra.shape) == 1):
            options[option] = len(parts)
            parts.append(extra)
    if "mid" in options:
        mid = refs[f"{pair.base}.lora_mid.weight"]
        if mid.shape[:2] != (pair.up.shape[1], pair.down.shape[0]):
            return
        shape = (shape[0], shape[1] * prod(mid.shape[2:]))
    if "alpha" in options:  # overrides the configuration
        words = ""
    if any(f"{pair.base}.{last}" in refs for last in MAGNITUDES):
        words = f"{words}; {DORA}" if words else DORA
    first, *companions = sorted((part.name for part in parts), key=list(refs).index)
    weight = PackedWeight(first, pair.module, None, tuple(companions), companion_reason=Reason.LORA_FACTOR)
    if experts * prod(shape) > MAX_PRODUCT:
        detail = f"a product of {experts} x {shape[0]} x {shape[1]}, at most {MAX_PRODUCT} elements are computed"
        yield replace(weight, refusal=detail, reason=Reason.TOO_LARGE)
        return
    whole = (experts, *shape) if experts > 1 else shape
    assembly = Assembly("lora", tuple(parts), tuple(options.items()), whole, pair.down.dtype, words)
    yield replace(weight, assembly=assembly, parts=_parts(weight.longname, experts, shape))


def _parts(longname: str, experts: int, shape: tuple[int, int]) -> tuple[LayerPart, ...]:
    """One layer, or one an expert."""
    if experts == 1:
        return (LayerPart("", "lora", role(longname)),)
    return tuple(
        LayerPart(str(expert), "lora", f"expert {expert}", (Take(0, expert, expert + 1), Reshape(shape)))
        for expert in range(experts)
    )


def _layout(pair: Pair, config: Mapping[str, Any]) -> tuple[int, int, tuple[int, int], bool] | None:
    """Experts, rank, shape (out, in) of one product, whether the factors lie as in MLX; None when there is none."""
    up, down = pair.up.shape, pair.down.shape
    if min(len(up), len(down)) < 2 or not {pair.up.dtype, pair.down.dtype} <= types.FLOATING or 0 in up + down:
        return None
    if len(up) == len(down) == 3 and up[0] == down[0] and up[2] == down[1]:
        return up[0], down[1], (up[1], down[2]), False
    fits, turned = prod(up[1:]) == up[1] == down[0], len(up) == len(down) == 2 and down[1] == up[0]
    if fits and not (turned and up[0] < down[0]):
        rank = _expert_rank(pair, config)
        return (down[0] // rank if rank else 1), rank or down[0], (up[0], prod(down[1:])), False
    if turned:  # MLX: (in, r) and (r, out)
        return 1, up[0], (up[1], down[0]), True
    return None


def _expert_rank(pair: Pair, config: Mapping[str, Any]) -> int | None:
    """The rank of one of PEFT's experts, where the factors hold several of them."""
    adapter = part_of(config, "adapter")
    targets = _targets(pair, adapter)
    rank = rank_of(targets, adapter) if targets else None
    return rank if rank and rank < pair.down.shape[0] and pair.down.shape[0] % rank == 0 else None


def _targets(pair: Pair, adapter: Mapping[str, Any]) -> list[str]:
    """Full names of the parameters that an adapter's factors may be of; empty for a module's."""
    module = pair.module
    while module.endswith(".base_layer"):
        module = module.removesuffix(".base_layer")
    targets = adapter.get("target_parameters")
    names = [name for name in targets if isinstance(name, str)] if isinstance(targets, list) else []
    holders = [(name.rpartition(".")[0], name.rpartition(".")[2]) for name in names]
    return [f"{module}.{own}" for holder, own in holders if module == holder or module.endswith(f".{holder}")]


def _module(pair: Pair, config: Mapping[str, Any]) -> str:
    """The name that patterns are tried on."""
    targets = _targets(pair, part_of(config, "adapter"))
    return targets[0] if len(targets) == 1 else pair.module


def factors(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> tuple[AnyArray, AnyArray] | None:
    """The factors (out, r), scaled, and (r, in), or one pair an expert, in float64; None when r > min(out, in)."""
    up, down = _factors(parts, options, shape)
    return (up, down) if up.shape[-1] <= min(shape[-2:]) else None


def _factors(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> tuple[AnyArray, AnyArray]:
    """The factors, thin or not."""
    up, down = (np.asarray(part, dtype=np.float64) for part in parts[:2])
    experts = int(options["experts"])
    out, inputs = shape[-2:]
    if up.ndim == 3 and experts > 1:
        pass
    elif experts > 1:
        up = up.reshape(out, -1, experts).transpose(2, 0, 1)
        down = down.reshape(experts, -1, inputs)
    elif "mid" in options:
        mid = np.asarray(parts[int(options["mid"])], dtype=np.float64)
        down = np.einsum("ij...,jp->ip...", mid, down.reshape(len(down), -1)).reshape(len(mid), -1)
    elif "turned" in options:
        up, down = up.T, down.T
    if experts == 1:
        up, down = up.reshape(out, -1), down.reshape(-1, inputs)
    if "singular" in options:
        down = down * np.asarray(parts[int(options["singular"])], dtype=np.float64).reshape(-1, 1)
    scale = float(options["scale"])
    if "alpha" in options:
        scale = float(parts[int(options["alpha"])].reshape(-1)[0]) / down.shape[-2]
    return up * scale, down


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """The scaled product (out, in), or (E, out, in), in float64: exact factors, so that its rank is seen."""
    up, down = _factors(parts, options, shape)
    return np.asarray(up @ down)
