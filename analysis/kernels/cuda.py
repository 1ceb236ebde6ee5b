"""Large matrices on a GPU: float64 Gram matrix and eigenvalues with torch, batches of equal shapes at once.

Never float32: it moves alpha by up to 5e-4. Same contract as the other kernels, chosen only by `device=`. Nothing here
needs a GPU to be imported, and torch is imported only when used; results agree with the CPU's to rounding, not to the
bit. Not covered: several GPUs at once, and moving weights there from disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoospectra.analysis.kernels.cast import AnyArray, block_rows
from zoospectra.analysis.records import FloatArray

if TYPE_CHECKING:
    import torch

# From here on a GPU is worth the transfer; small eigenproblems are slow there (github.com/pytorch/pytorch/issues/183806
# measured 30 to 130 times slower than the release before).
SMALLEST_M = 1000
# Gram-sized matrices that the batched solver holds at once: the Gram matrix, its copy, workspace.
MATRICES = 4
# Share of the free memory that a batch may take: the libraries allocate workspaces of their own.
SHARE = 0.6


def device(name: str) -> torch.device:
    """The torch device of that name; ValueError where it is no CUDA device or there is none."""
    import torch

    kind, _, index = name.partition(":")
    if kind != "cuda" or (index and not index.isdigit()):
        msg = f"unknown device {name!r}: expected 'cpu', 'cuda' or 'cuda:0' and so on"
        raise ValueError(msg)
    if not torch.cuda.is_available() or int(index or 0) >= torch.cuda.device_count():
        msg = f"no device {name!r} here: {torch.cuda.device_count()} CUDA devices; use device='cpu'"
        raise ValueError(msg)
    return torch.device("cuda", int(index or torch.cuda.current_device()))


def batch_size(S: int, N: int, M: int, free_bytes: int) -> int:
    """Slices of N x M that fit into the free memory of a device together, at least 1 and at most S.

    Each takes its Gram matrix MATRICES times; one block of rows is shared.
    """
    block = 2 * 8 * min(N, block_rows(M)) * M
    room = int(free_bytes * SHARE) - block
    return max(1, min(S, room // (MATRICES * 8 * M * M)))


def free_bytes(where: torch.device) -> int:
    """Memory of a CUDA device that nothing holds, bytes."""
    import torch

    return int(torch.cuda.mem_get_info(where)[0])


def evals(slices: AnyArray, exponent: int, where: torch.device, batch: int) -> FloatArray:
    """Eigenvalues (s, M) of slices (s, N, M), real or complex, `batch` of them at a time on that device.

    Any torch device works, the CPU too. Equivalent to `torch.linalg.eigvalsh` of the Gram matrices.
    """
    import torch

    eigenvalues = np.empty((len(slices), slices.shape[2]))
    for start in range(0, len(slices), batch):
        grams = torch.stack([_gram(W, exponent, where) for W in slices[start : start + batch]])
        eigenvalues[start : start + batch] = torch.linalg.eigvalsh(grams).cpu().numpy()
    return eigenvalues


def _gram(W: AnyArray, exponent: int, where: torch.device) -> torch.Tensor:
    """W^H W, (M, M), on the device; weights travel as they are stored and are widened there."""
    import torch

    N, M = W.shape
    kind = torch.complex128 if np.iscomplexobj(W) else torch.float64
    G = torch.zeros((M, M), dtype=kind, device=where)
    rows = block_rows(M)
    for start in range(0, N, rows):
        block = torch.from_numpy(np.array(W[start : start + rows], order="C")).to(where).to(kind)
        if exponent:
            block *= 2.0 ** (-exponent // 2)
            block *= 2.0 ** (-exponent - -exponent // 2)
        G.addmm_(block.mH, block)
    return G
