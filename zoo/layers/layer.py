"""A layer: a weight matrix or kernel that is analysed, as references; never the values."""

from __future__ import annotations

from dataclasses import dataclass

from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.view import View, shape_after


@dataclass(frozen=True, slots=True)
class Assembly:
    """A weight that is stored in several tensors, or packed: what is needed to compute its values."""

    scheme: str
    """Key of zoo.layers.packed.SCHEMES: 'gptq', 'awq', 'nf4', 'fp8', 'lora', ..."""
    parts: tuple[TensorRef, ...]
    """The stored tensors, in the order that the scheme says."""
    options: tuple[tuple[str, int | float | str], ...]
    """What the scheme must know besides: bits, group size, alpha."""
    shape: tuple[int, ...]
    """Shape of the values, torch's layout."""
    dtype: str
    """What the weights were stored as: 'gptq-int4', 'bnb-nf4', 'float8_e4m3fn+scale', ..."""
    note: str = ""
    """What about the values is not known: 'scale unknown: taken as 1'; '' when nothing."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an adapter makes of a weight of its base."""

    scheme: str
    """Key of zoo.layers.change.CHANGES: 'added', 'dora', 'scaled', 'rotated', ..."""
    update: Assembly | None = None
    """The scaled product that is added; None where nothing is."""
    parts: tuple[TensorRef, ...] = ()
    """Further tensors of the adapter, in the order that the scheme says."""
    options: tuple[tuple[str, int | float | str], ...] = ()
    """What the scheme must know besides; 'turned' for a weight that is stored (in, out)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One weight matrix, or kernel, that can be analysed: a stored tensor, a part of one, or one made of several."""

    layer_id: int
    """Number in checkpoint order, from 0: every tensor takes one, one that is split as many as it has layers."""
    longname: str
    """Module path as users know it: the tensor's name without a trailing '.weight', and the part of a split one."""
    layer_type: str
    """'dense', 'conv2d', 'embedding', ... 'dense_part' for q, k, v of a fused matrix that is a layer itself."""
    group: str | None
    """Role inside the block: q, k, v, o, gate, up, down, 'expert 3'; None when unknown."""
    ref: TensorRef
    """Where the bytes are; of an assembly, its first part."""
    view: View = ()
    """Which part of the tensor's (or assembly's) values this is; () for all of them as they are."""
    assembly: Assembly | None = None
    """How the values are computed where they are not stored as they are."""
    factor: float = 1.0
    """Of the values, where a user's rules say so (zoo.layers.rules)."""
    change: Change | None = None
    """What an adapter changes: the values are those of the whole tensor after it, and then the view."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values that are analysed."""
        return shape_after(self.assembly.shape if self.assembly else self.ref.shape, self.view)

    @property
    def note(self) -> str | None:
        """What about its values is not known; None when nothing."""
        update = self.change.update if self.change else None
        return "; ".join(made.note for made in (self.assembly, update) if made and made.note) or None

    @property
    def dtype(self) -> str:
        """What the weights are stored as."""
        return self.assembly.dtype if self.assembly else self.ref.dtype

    @property
    def refs(self) -> tuple[TensorRef, ...]:
        """Every stored tensor that its values are computed from."""
        if self.assembly is None and self.change is None:
            return self.ref.parts or (self.ref,)
        made = [self.assembly, self.change.update] if self.change else [self.assembly]
        parts = [part for each in made if each for part in each.parts]
        all_of_them = (self.ref, *parts, *(self.change.parts if self.change else ()))
        return tuple(piece for ref in all_of_them for piece in ref.parts or (ref,))
