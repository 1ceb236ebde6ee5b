"""Low-rank updates: pairs of factors down (r, in) and up (out, r) are one layer, (alpha / r) up down.

Names of PEFT, kohya, diffusers and the first LoRA trainer. alpha: a tensor beside the pair, else lora_alpha of
adapter_config.json (over the square root of r with use_rslora), else r, which is a factor of 1. Convolutions: up is
1 x 1, and the product the matrix (out, in kh kw). At most r of the product's eigenvalues are not zero.
Not covered: W + product, for the base is another file; LoHa, LoKr, CP decompositions (refused), DoRA's magnitudes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import prod, sqrt
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs
from zoospectra.zoo.layers.split.part import LayerPart
from zoospectra.zoo.layers.split.roles import role

PAIRS = (
    (".lora_A.weight", ".lora_B.weight"),
    (".lora_A.default.weight", ".lora_B.default.weight"),
    (".lora_A", ".lora_B"),
    (".lora_embedding_A", ".lora_embedding_B"),
    (".lora_embedding_A.default", ".lora_embedding_B.default"),
    (".lora_down.weight", ".lora_up.weight"),
    (".lora.down.weight", ".lora.up.weight"),
    ("_lora.down.weight", "_lora.up.weight"),
    (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
    (":down", ":up"),
)
"""Ends of the names of down and up."""

MAX_PRODUCT = 1 << 28
"""Most elements of a product: two thin factors of a few megabytes could ask for any amount of memory."""

FACTOR = re.compile(r"[._]lora_(A|B|up|down|mid|embedding_A|embedding_B)(\.|$)|[._](hada|lokr|oft)_\w+$")
"""Names of factors, to refuse those without a partner and those of other decompositions."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every pair, in the place of its first factor; a refusal for every factor that has none."""
    paired: set[str] = set()
    for name, down in refs.items():
        end = next((pair for pair in PAIRS if name.endswith(pair[0])), None)
        if end is None:
            continue
        base = name.removesuffix(end[0])
        up = refs.get(base + end[1])
        if up is None or f"{base}.lora_mid.weight" in refs or not _fits(up, down):
            continue
        alpha = refs.get(f"{base}.alpha")
        longname = base.removeprefix("base_model.model.")
        scale = _scale(longname, down.shape[0], config)
        # A tensor alpha beside the pair overrides the scale of the configuration (see `factors`).
        parts = (up, down) if alpha is None or prod(alpha.shape) != 1 else (up, down, alpha)
        shape = (up.shape[0], prod(down.shape[1:]))
        companions = tuple(part.name for part in parts if part.name != name)
        paired.update({name, *companions})
        if prod(shape) > MAX_PRODUCT:
            detail = f"a product of {shape[0]} x {shape[1]}, at most {MAX_PRODUCT} elements are computed"
            yield PackedWeight(
                name,
                longname,
                None,
                companions,
                refusal=detail,
                reason=Reason.TOO_LARGE,
                companion_reason=Reason.LORA_FACTOR,
            )
            continue
        assembly = Assembly("lora", parts, (("scale", scale),), shape, down.dtype)
        yield PackedWeight(
            name,
            longname,
            assembly,
            companions,
            (LayerPart("", "lora", role(longname)),),
            companion_reason=Reason.LORA_FACTOR,
        )
    for name, ref in refs.items():
        if name not in paired and len(ref.shape) > 1 and FACTOR.search(name):
            yield PackedWeight(
                name, name, None, refusal="a factor whose partner is missing or unknown", reason=Reason.LORA_FACTOR
            )


def _fits(up: TensorRef, down: TensorRef) -> bool:
    """Whether two factors have a product."""
    if min(len(up.shape), len(down.shape)) < 2 or not {up.dtype, down.dtype} <= types.FLOATING:
        return False
    return prod(up.shape[1:]) == up.shape[1] == down.shape[0] > 0


def _scale(longname: str, rank: int, config: Mapping[str, Any]) -> float:
    """The factor alpha / r of adapter_config.json; 1 when there is none."""
    adapter = config.get("adapter")
    if not isinstance(adapter, Mapping):
        return 1.0
    alpha: Any = adapter.get("lora_alpha")
    patterns = adapter.get("alpha_pattern")
    for key, value in patterns.items() if isinstance(patterns, Mapping) else ():
        if longname == key or longname.endswith(f".{key}"):
            alpha = value
    if type(alpha) not in (int, float) or rank < 1:
        return 1.0
    return float(alpha) / (sqrt(rank) if adapter.get("use_rslora") is True else rank)


def factors(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> tuple[AnyArray, AnyArray]:
    """The factors (out, r), scaled, and (r, in), in float64."""
    up, down = (np.asarray(part, dtype=np.float64) for part in parts[:2])
    scale = float(options["scale"])
    if len(parts) > 2:
        scale = float(parts[2].reshape(-1)[0]) / down.shape[0]
    return up.reshape(shape[0], -1) * scale, down.reshape(-1, shape[1])


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """The scaled product (out, in) in float64: exact factors, so that its rank is seen."""
    up, down = factors(parts, options, shape)
    return np.asarray(up @ down)
