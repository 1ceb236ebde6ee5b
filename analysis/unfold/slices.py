"""One matrix per kernel position: the rule of WeightWatcher and of the papers.

A dense or embedding tensor is one matrix; a convolution (out, in, *kernel), torch's layout, is prod(kernel) matrices of
out x in. Every matrix is seen with its larger side first. Not covered: Keras' (kh, kw, in, out), which the readers
transpose to torch's layout, and fused or stacked tensors, which the readers split.
"""

from __future__ import annotations

from math import prod

from zoospectra.analysis.unfold.shape import AnyArray, MatrixShape, Unfold

CONVOLUTIONS = ("conv", "depthwise")
"""How the types of layers begin whose tensors may have more than two dimensions."""


def shape_of(shape: tuple[int, ...], layer_type: str) -> MatrixShape:
    """Shape of the matrices of a tensor, from its shape alone.

    Two dimensions are one matrix whatever the layer type; three and more must be a convolution (out, in, *kernel).
    Raises ValueError for vectors, empty tensors and other stacks of matrices.
    """
    known = len(shape) == 2 or (len(shape) in (3, 4, 5) and layer_type.startswith(CONVOLUTIONS))
    if not known or prod(shape) == 0:
        msg = (
            f"cannot slice a {layer_type!r} tensor of shape {shape}: expected two dimensions, or a convolution "
            "(out, in, *kernel), none of them 0; split stacked tensors into matrices first"
        )
        raise ValueError(msg)
    return MatrixShape(N=max(shape[:2]), M=min(shape[:2]), rf=prod(shape[2:]))


def unfold(array: AnyArray, layer_type: str) -> AnyArray:
    """View a tensor as its (S, N, M) matrices, N >= M, kernel positions in C order; no copy of a contiguous
    tensor, no cast.

    Raises ValueError like `shape_of`.
    """
    shape_of(array.shape, layer_type)
    out, inner = array.shape[:2]
    slices = array.reshape(out, inner, -1).transpose(2, 0, 1)
    return slices if out >= inner else slices.transpose(0, 2, 1)


RULE = Unfold(name="slices", shape_of=shape_of, unfold=unfold)
