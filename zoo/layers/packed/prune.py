"""Pruned and masked weights: W = stored x mask, mask of zeros and ones.

Names: X_orig and X_mask (torch.nn.utils.prune), X and X_mask (nni), weight and mask (masked autoencoders, PixelCNN). A
mask has the weight's axes, or 1 in the place of some. Refused: scores of which a training script keeps the largest, for
how many is not in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs

SCORES = re.compile(r"^(mask_|popup_|weight_)?scores?$")
"""Last part of the name of scores that decide which elements count."""


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """Every weight with a mask of its own shape beside it."""
    for name, ref in refs.items():
        module, dot, last = name.rpartition(".")
        if last == "mask" or last.endswith("_mask"):
            plain = f"{module}{dot}weight" if last == "mask" else name.removesuffix("_mask")
            weight = refs.get(f"{plain}_orig") or refs.get(plain)
            if weight is not None and _is_weight(weight) and _fits(ref, weight):
                assembly = Assembly("pruned", (weight, ref), (), weight.shape, weight.dtype)
                yield PackedWeight(weight.name, plain, assembly, (name,), companion_reason=Reason.BUFFER)
        elif SCORES.search(last):
            weight = refs.get(f"{module}{dot}weight")
            if weight is not None and _is_weight(weight) and weight.shape == ref.shape:
                detail = f"only elements with the largest of {last} count: how many is not in the file"
                yield PackedWeight(
                    weight.name,
                    weight.name,
                    None,
                    (name,),
                    refusal=detail,
                    reason=Reason.UNSUPPORTED_PARAMETRIZATION,
                    companion_reason=Reason.BUFFER,
                )


def _is_weight(ref: TensorRef) -> bool:
    return len(ref.shape) >= 2 and ref.dtype in types.FLOATING


def _fits(mask: TensorRef, weight: TensorRef) -> bool:
    """Whether the mask has the weight's axes, or 1 in the place of some of them."""
    same = len(mask.shape) == len(weight.shape)
    return same and all(size in (1, whole) for size, whole in zip(mask.shape, weight.shape, strict=True))


def values(parts: list[AnyArray], options: Options, shape: tuple[int, ...]) -> AnyArray:
    """The product, in the weight's type: exact. CheckpointError for a mask of other values than 0 and 1."""
    weight, mask = parts
    if not np.isin(mask, (0, 1)).all():
        detail = "a mask with values other than 0 and 1: what it does to the weight is not in the file"
        raise CheckpointError(Reason.UNSUPPORTED_PARAMETRIZATION, detail)
    return np.asarray(weight * mask.astype(weight.dtype))
