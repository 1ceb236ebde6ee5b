"""Element-wise shuffled copies of a layer: the same entries without their correlations, the layer's own null model.

Every matrix is shuffled within itself, as WeightWatcher's `randomize` does, so that the slices of a convolution keep
their own entries; `scope='layer'` mixes the entries of all slices. A copy depends on (seed, replica) and the layer:
numpy's PCG64 seeded by SeedSequence((seed, replica)), so that every executor, any number of workers and any order of
replicas give the same bytes.

Not covered: WeightWatcher's other null in RMT_Util.shuf_matrix, which draws entries with replacement.
"""

from __future__ import annotations

import numpy as np

from zoospectra.analysis.unfold import slices
from zoospectra.analysis.unfold.shape import AnyArray

SCOPES = ("slice", "layer")


def shuffle(matrices: AnyArray, seed: int, replica: int = 0, scope: str = "slice") -> AnyArray:
    """Copy of matrices (S, N, M) with shuffled entries, in the same dtype and shape.

    seed: the layer's seed, from its content hash; replica: 0, 1, ... Raises ValueError when one is negative, and for
    an unknown scope.
    """
    if scope not in SCOPES:
        msg = f"unknown shuffle scope {scope!r}; known scopes: {', '.join(SCOPES)}"
        raise ValueError(msg)
    if seed < 0 or replica < 0:
        msg = f"seed and replica must be non-negative integers, got {seed} and {replica}"
        raise ValueError(msg)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, replica))))
    rows = 1 if scope == "layer" else len(matrices)
    flat = np.array(matrices).reshape(rows, -1)  # one contiguous copy, in the order of the matrices' own rows
    rng.permuted(flat, axis=1, out=flat)
    return flat.reshape(matrices.shape)


def unfold(array: AnyArray, layer_type: str, seed: int = 0, replica: int = 0, scope: str = "slice") -> AnyArray:
    """One shuffled copy of a tensor's slices (S, N, M). Raises ValueError like `slices.unfold` and `shuffle`."""
    return shuffle(slices.unfold(array, layer_type), seed, replica, scope)
