"""Parametrised weights: which tensors of torch.nn.utils.parametrize and of its predecessors belong together.

X_orig, X_u, ... beside each other in older files, parametrizations.X.original, .original0, .0._u in newer ones. Those
with a file of their own are computed there (weight_norm, spectral_norm); every other one is refused by name here, for
the function that made the weight is code and not in the file. Orthogonal ones among them: their singular values are 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.layers.packed.weight import PackedWeight, Refs

PART = re.compile(r"^(?P<module>.*?)(?:^|\.)parametrizations\.(?P<name>\w+)\.(?P<part>.+)$")
"""A tensor of a parametrised parameter."""

ORIGINAL = re.compile(r"^(?P<name>.*weight)_(?:orig|bar|v)$")
"""Older spellings of the stored factor."""


def groups(refs: Refs) -> dict[str, dict[str, TensorRef]]:
    """Name of every parametrised parameter -> its tensors by the rest of their names: original, original0, 0._u."""
    grouped: dict[str, dict[str, TensorRef]] = {}
    for name, ref in refs.items():
        match = PART.match(name) if "parametrizations." in name else None
        if match:
            plain = f"{match['module']}.{match['name']}".removeprefix(".")
            grouped.setdefault(plain, {})[match["part"]] = ref
    return grouped


def find(refs: Refs, config: Mapping[str, Any]) -> Iterator[PackedWeight]:
    """A refusal for every parametrised weight; those that are understood were claimed before."""
    for plain, parts in groups(refs).items():
        main = next((ref for part, ref in parts.items() if part.startswith("original") and len(ref.shape) > 1), None)
        if main is None:
            continue
        chain = sorted({part.partition(".")[0] for part in parts if not part.startswith("original")})
        what = "orthogonal (its singular values are 1)" if set(parts) == {"original", "0.base"} else "computed"
        detail = f"the weight is {what} by {len(chain) or 'some'} function(s) that the file does not name"
        yield _refused(main.name, plain, tuple(ref.name for ref in parts.values() if ref is not main), detail)
    for name, ref in refs.items():
        match = ORIGINAL.match(name)
        if match and len(ref.shape) > 1 and match["name"] not in refs:
            others = (f"{match['name']}_{other}" for other in ("g", "u", "v", "orig", "mask"))
            companions = tuple(other for other in others if other in refs and other != name)
            detail = "the weight is computed from this factor: what belongs to it is missing or unknown"
            yield _refused(name, match["name"], companions, detail)


def _refused(main: str, plain: str, companions: tuple[str, ...], detail: str) -> PackedWeight:
    return PackedWeight(
        main,
        plain,
        None,
        companions,
        refusal=detail,
        reason=Reason.UNSUPPORTED_PARAMETRIZATION,
        companion_reason=Reason.BUFFER,
    )
