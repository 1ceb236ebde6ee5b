"""What a packing scheme says about a checkpoint: which tensors together are one weight, or why they cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.layers.layer import Assembly

Refs = Mapping[str, TensorRef]
"""Tensors of a checkpoint by name."""

Options = Mapping[str, int | float | str]
"""Assembly.options as a mapping."""


@dataclass(frozen=True, slots=True)
class Found:
    """One packed weight."""

    main: str
    """Tensor in whose place the weight is listed."""
    longname: str
    """Module path, without '.weight'."""
    assembly: Assembly | None
    """How its values are computed; None when it is refused."""
    others: tuple[str, ...] = ()
    """Further tensors that belong to it."""
    layer_type: str | None = None
    """Its type; None leaves that to the split rules."""
    refused: str = ""
    """Why it cannot be unpacked."""
    reason: Reason = Reason.UNSUPPORTED_QUANTISATION
    """Of the refusal."""
    part_reason: Reason = Reason.QUANTISATION_PART
    """Reason with which `others` are listed."""


__all__ = ["AnyArray", "Assembly", "Found", "Options", "Refs", "TensorRef"]
