"""One tall matrix a convolution: the kernel positions stacked, (kh*kw*out) x in.

The Gram matrix of the smaller side is then the sum of those of the slices, so sum(lam) is that of 'slices' in total.
Dense layers are one matrix as always. WeightWatcher's own 'stacked' option is another thing: it stacks whole layers.
"""

from __future__ import annotations

from zoospectra.analysis.unfold import slices
from zoospectra.analysis.unfold.shape import AnyArray, MatrixShape, Unfold


def shape_of(shape: tuple[int, ...], layer_type: str) -> MatrixShape:
    """Shape of the one matrix of a tensor, from its shape alone. Raises ValueError like `slices.shape_of`."""
    rf = slices.shape_of(shape, layer_type).rf
    sides = (rf * shape[0], shape[1])
    return MatrixShape(N=max(sides), M=min(sides), rf=1)


def unfold(array: AnyArray, layer_type: str) -> AnyArray:
    """Stack a tensor (out, in, *kernel) into (1, N, M), N >= M, rows ordered by kernel position, then out; no cast.

    Raises ValueError like `slices.unfold`.
    """
    slices.shape_of(array.shape, layer_type)
    out, inner = array.shape[:2]
    tall = array.reshape(out, inner, -1).transpose(2, 0, 1).reshape(-1, inner)
    return tall[None] if tall.shape[0] >= inner else tall.T[None]


RULE = Unfold(name="stacked", shape_of=shape_of, unfold=unfold)
