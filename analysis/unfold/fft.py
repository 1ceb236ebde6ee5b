"""The linear map that a convolution is: its exact singular values with circular padding (Sedghi, Gupta and Long 2019).

On an n x n feature map with stride 1 and circular padding the convolution is a matrix of n^2 out x n^2 in, doubly
block-circulant.
The discrete Fourier transform block-diagonalises it into n^2 complex out x in matrices, one a frequency, whose
singular values together are those of the whole map (arXiv:1805.10408, theorem 6). Centring of the kernel, convolution
against cross-correlation, and the sign of the transform only change phases or the order of the frequencies, never
singular values. A kernel longer than n wraps around, as the map itself does.

Frequencies f and -f have equal singular values (the weights are real); both are returned, for they both belong to the
map. W is complex: its Gram matrix is W^H W. Dense layers are one real matrix as always.

Size: n^2 out in complex numbers of 16 bytes (8 for float32 weights): 4 GiB for 512 x 512 channels at n = 32 in float64.

Not covered: strides, dilation, zero padding (where these are bounds), the input size of the real model: n is an option.
WeightWatcher 0.7.7's conv2d_fft (deprecated there) is no oracle: it pads to 32 x 32 too, but drops the imaginary part
and, for torch's layout, decomposes the frequency axes instead of the channels.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from zoospectra.analysis.unfold import slices
from zoospectra.analysis.unfold.shape import AnyArray, MatrixShape, Unfold

GRID = 32
"""Default side of the feature map: CIFAR's images, and the default of WeightWatcher's conv2d_fft."""


def shape_of(shape: tuple[int, ...], layer_type: str, n: int = GRID) -> MatrixShape:
    """Shape of the n^d matrices of a d-dimensional convolution.

    Raises ValueError like `slices.shape_of`, and for n < 1.
    """
    if n < 1:
        msg = f"side n of the feature map must be at least 1, got {n}"
        raise ValueError(msg)
    sliced = slices.shape_of(shape, layer_type)
    return MatrixShape(N=sliced.N, M=sliced.M, rf=n ** (len(shape) - 2))


def unfold(array: AnyArray, layer_type: str, n: int = GRID) -> AnyArray:
    """Transform a convolution (out, in, *kernel) into (n^d, N, M) complex matrices, N >= M, frequencies in C order.

    complex64 for weights of at most 32 bits, complex128 for float64. Dense tensors are returned as by `slices.unfold`.
    Raises ValueError like `shape_of`.
    """
    shape_of(array.shape, layer_type, n)
    if array.ndim == 2:
        return slices.unfold(array, layer_type)
    out, inner = array.shape[:2]
    wide = array.dtype == np.float64
    kernel = np.asarray(array, dtype=np.float64)
    for axis in range(2, array.ndim):
        kernel = _wrap(kernel, axis, n)
    axes = tuple(range(2, array.ndim))
    transfer = np.fft.fftn(kernel, axes=axes).astype(np.complex128 if wide else np.complex64, copy=False)
    matrices = transfer.reshape(out, inner, -1).transpose(2, 0, 1)
    return matrices if out >= inner else matrices.transpose(0, 2, 1)


def _wrap(kernel: AnyArray, axis: int, n: int) -> AnyArray:
    """Zero-pad one axis to n, or fold what is longer: numpy's own padding would cut it off."""
    length = kernel.shape[axis]
    laps = -(-length // n)
    padding = [(0, 0)] * kernel.ndim
    padding[axis] = (0, laps * n - length)
    padded = np.pad(kernel, padding)
    folded = padded.reshape(*kernel.shape[:axis], laps, n, *kernel.shape[axis + 1 :])
    return np.asarray(folded.sum(axis=axis))


def rule(n: int = GRID) -> Unfold:
    """The rule for n x n feature maps; its name holds n, so that results of two sizes never mix."""
    shape_of((1, 1, 1, 1), "conv2d", n)
    return Unfold(name=f"fft(n={n})", shape_of=partial(shape_of, n=n), unfold=partial(unfold, n=n))


RULE = Unfold(name="fft", shape_of=shape_of, unfold=unfold)
