"""What a packing scheme says about a checkpoint: which tensors together are one weight, or why they cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.layers.layer import Assembly
from zoospectra.zoo.layers.split.part import LayerPart

Refs = Mapping[str, TensorRef]
"""Tensors of a checkpoint by name."""

Options = Mapping[str, int | float | str]
"""Assembly.options as a mapping."""


def part_of(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part of a configuration from outside; empty when it is not there, or no mapping."""
    value = config.get(key)
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True, slots=True)
class PackedWeight:
    """One packed weight, understood or refused."""

    main: str
    """Tensor in whose place the weight is listed."""
    name: str
    """Name that the weight would have as one plain tensor: 'fc.weight', 'lstm.weight_ih_l0'."""
    assembly: Assembly | None
    """How its values are computed; None when it is refused."""
    companions: tuple[str, ...] = ()
    """Further tensors that belong to it."""
    parts: tuple[LayerPart, ...] | None = None
    """Its layers; None leaves that to the split rules."""
    refusal: str = ""
    """Why it cannot be unpacked, in words."""
    reason: Reason = Reason.UNSUPPORTED_QUANTISATION
    """Of the refusal."""
    companion_reason: Reason = Reason.QUANTISATION_PART
    """With which the companions are listed."""

    @property
    def longname(self) -> str:
        """Module path, without '.weight' or '.kernel'."""
        return self.name.removesuffix(".weight").removesuffix(".kernel")
