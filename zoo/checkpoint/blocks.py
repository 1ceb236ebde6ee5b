"""What a file's graph says about integers of few bits with a scale a block; see zoo.layers.packed.blocks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Blocks:
    """How the codes of one tensor become values: (q - zero point) scale."""

    trouble: str = ""
    """Why they cannot, in words; '' where they can."""
    companions: tuple[str, ...] = ()
    """Other tensors that belong to the weight: scales, zero points."""
    plain: str = ""
    """Name of the weight without what a quantiser put behind it."""
    bits: int = 8
    """Bits of a code."""
    signed: bool = False
    """Whether codes have a sign."""
    shape: tuple[int, ...] = ()
    """Shape of the weight as it is stored."""
    padded: tuple[int, ...] = ()
    """The same with the codes that fill the last block of a row."""
    axis: int = 0
    """Stored axis along which scales differ."""
    block: int = 0
    """Codes of that axis that share a scale; 0 for one scale an index, or one alone."""
    order: tuple[int, ...] = ()
    """Stored axis of every axis of the weight, (out, in)."""
    scale: str = ""
    """Tensor of the scales."""
    zero: str = ""
    """Tensor of the zero points; '' where `offset` is the only one."""
    row: int = 0
    """Zero points that lie in whole bytes together; 0 where all do."""
    offset: int = 0
    """The zero point where there is no tensor of them."""
