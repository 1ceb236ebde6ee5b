"""GPTQ: W[o, i] = scales[g(i), o] (q[i, o] - z[g(i), o] - 1), q of 2, 3, 4 or 8 bits packed along the inputs.

Tensors: qweight int32 (in bits / 32, out), qzeros int32 (G, out bits / 32), scales (G, out), g_idx int32 (in), the
group of every input, absent in old files. Files of the format 'gptq_v2' store z itself and not z - 1.
Source: https://github.com/AutoGPTQ/AutoGPTQ, auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py. Legend: G groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.bits import unpack
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs, part_of

BITS = (2, 3, 4, 8)
"""Widths that are read."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every weight packed so; AWQ's, whose words run along the outputs, are left to `zoo.layers.packed.awq`."""
    for name, words in refs.items():
        module, _, last = name.rpartition(".")
        zeros, scales, order = (refs.get(f"{module}.{other}") for other in ("qzeros", "scales", "g_idx"))
        if last != "qweight" or zeros is None or scales is None or len(words.shape) != 2 or len(scales.shape) != 2:
            continue
        if words.shape[1] != scales.shape[1] or words.dtype != "int32" or zeros.dtype != "int32":
            continue
        companions = tuple(
            f"{module}.{other}" for other in ("qzeros", "scales", "g_idx") if f"{module}.{other}" in refs
        )
        groups, out = scales.shape
        # The width is nowhere written: zeros of (G, out bits / 32) words tell it.
        bits = 32 * zeros.shape[-1] // out if out else 0
        inputs = 32 * words.shape[0] // bits if bits else 0
        if bits not in BITS or zeros.shape != (groups, out * bits // 32) or (order and order.shape != (inputs,)):
            detail = f"GPTQ words {words.shape}, zeros {zeros.shape} and scales {scales.shape} do not fit together"
            yield PackedWeight(name, f"{module}.weight", None, companions, refusal=detail)
            continue
        shift = 0 if part_of(config, "quantization_config").get("checkpoint_format") == "gptq_v2" else 1
        options = (("bits", bits), ("shift", shift))
        parts = (words, zeros, scales, *([order] if order else []))
        yield PackedWeight(
            name, f"{module}.weight", Assembly("gptq", parts, options, (out, inputs), f"gptq-int{bits}"), companions
        )


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """Weights (out, in) float32; exact, for scales have 11 bits and the integers at most 9.

    Raises CheckpointError 'unreadable' for a group without a scale.
    """
    words, zeros, scales = parts[:3]
    bits = int(options["bits"])
    inputs = shape[1]
    order = parts[3] if len(parts) > 3 else np.arange(inputs) // -(-inputs // len(scales))
    if order.size and (order.min() < 0 or order.max() >= len(scales)):
        raise CheckpointError(
            Reason.UNREADABLE, f"GPTQ groups {order.min()} to {order.max()}, but {len(scales)} scales"
        )
    zero = (unpack(np.ascontiguousarray(zeros), bits).astype(np.int16) + int(options["shift"])) & ((1 << bits) - 1)
    codes = unpack(np.ascontiguousarray(words.T), bits)
    zero, factor = zero.T[:, order], scales.astype(np.float32).T[:, order]
    return np.asarray((codes.astype(np.float32) - zero) * factor)
