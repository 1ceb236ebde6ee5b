"""Adapters: updates of a model's weights that are products of small factors, one file a family.

`scale` has every rule of their scale, `names` every trainer's spelling. The layers have the type 'lora'; their values
are the scaled product, never W + product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.layers.packed.adapters import listed, lora, lycoris, others
from zoospectra.zoo.layers.packed.weight import Options, PackedWeight, Refs

FINDERS: tuple[Callable[[Refs, Mapping[str, Any]], Iterator[PackedWeight]], ...] = (
    lora.find,
    lycoris.find,
    listed.find,
    others.find,
)
"""Recognisers, in the order in which they are asked."""

VALUES: dict[str, Callable[[list[AnyArray], Options, tuple[int, ...]], AnyArray]] = {
    "lora": lora.values,
    "loha": lycoris.loha,
    "lokr": lycoris.lokr,
}
"""Assembly.scheme -> (arrays of its parts, options, shape) -> the scaled product."""

FACTORS: dict[str, Callable[[list[AnyArray], Options, tuple[int, ...]], tuple[AnyArray, AnyArray] | None]] = {
    "lora": lora.factors,
    "loha": lycoris.loha_factors,
    "lokr": lycoris.lokr_factors,
}
"""The same -> two factors whose product it is; None where they are not thin."""
