"""How many matrices a device takes at once; needs no device."""

from __future__ import annotations

import pytest

from zoospectra.analysis.kernels.cast import block_rows
from zoospectra.analysis.kernels.cuda import MATRICES, SHARE, batch_size


@pytest.mark.parametrize(("N", "M"), [(1000, 1000), (50_000, 1024), (4096, 4096)])
@pytest.mark.parametrize("free", [10**9, 8 * 10**9, 80 * 10**9])
def test_a_batch_fills_its_share_of_the_memory(N: int, M: int, free: int) -> None:
    block = 2 * min(N, block_rows(M)) * M * 8  # float64, read and converted
    one = MATRICES * M * M * 8
    count = batch_size(10**6, N, M, free)
    assert count == 1 or block + count * one <= SHARE * free
    assert block + (count + 1) * one > SHARE * free
    assert batch_size(3, N, M, 10**15) == 3
    assert batch_size(3, N, M, 0) == 1
