"""Suite 'kernels': every way to the eigenvalues of one square float32 matrix, against the one that the table takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from zoospectra.analysis.kernels import KERNELS, kernel, svd
from zoospectra.analysis.kernels.cast import AnyArray
from zoospectra.analysis.kernels.gram import gram
from zoospectra.analysis.spectrum import SVD_M
from zoospectra.jobs.benches.pair import Contender, Row, compare
from zoospectra.jobs.work.executors.call import set_threads

# Matrices of one stack are as many as fill this many values, so that small sizes take a time that can be measured.
VALUES = 1 << 20


def kernels(sizes: Sequence[int], threads: Sequence[int], rounds: int, budget: float) -> Iterator[list[Row]]:
    """One list of rows a size and number of threads; the first row is the table's choice."""
    for M in sizes:
        for count in threads:
            set_threads(count)
            S = max(1, VALUES // (M * M))
            slices = np.random.default_rng(M).standard_normal((S, M, M), dtype=np.float32)
            case = f"{S} of {M} x {M}, {count} thread{'s' if count > 1 else ''}"
            yield compare("kernels", case, _contenders(slices), rounds, budget)


def _contenders(slices: AnyArray) -> list[Contender]:
    M = slices.shape[2]
    chosen = next(name for name, function in KERNELS.items() if function is kernel(M))
    names = [chosen, *(name for name in KERNELS if name != chosen)]
    contenders = [Contender(name, partial(_largest, name, slices)) for name in names]
    contenders.append(Contender("Gram matrix alone", partial(_gram, slices)))
    if M <= SVD_M:
        contenders.append(Contender("singular values", partial(_svd, slices)))
    return contenders


def _largest(name: str, slices: AnyArray) -> list[float]:
    return [float(value) for value in KERNELS[name].evals(slices, 0)[:, -1]]


def _gram(slices: AnyArray) -> list[float]:
    for W in slices:
        gram(W, 0)
    return []


def _svd(slices: AnyArray) -> list[float]:
    return [float(value) for value in svd.evals(slices, 0)[:, -1]]
