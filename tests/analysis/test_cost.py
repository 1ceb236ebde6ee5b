"""Costs: monotone, from shapes alone, refused for shapes that are not matrices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoospectra.analysis.cost import cost
from zoospectra.analysis.kernels.cast import BLOCK_BYTES, LEAST_ROWS
from zoospectra.analysis.spectrum import SVD_M

side = st.integers(1, 20000)


@given(side, side, st.integers(1, 100))
def test_more_work_costs_more(a, b, S) -> None:
    N, M = max(a, b), min(a, b)
    one, more, taller = cost(N, M, S, 4), cost(N, M, S + 1, 4), cost(N + 1000, M, S, 4)
    assert 0 < one.flops < more.flops
    assert 0 < one.seconds <= more.seconds
    assert one.flops < taller.flops
    assert one.peak_bytes <= taller.peak_bytes
    assert one.threads == taller.threads
    assert one.bytes_read == 4 * N * M * S


def test_known_arithmetic() -> None:
    found = cost(4096, 4096, 1, 2)
    assert found.flops == pytest.approx(4096**3 * 7 / 3)
    assert found.bytes_read == 2 * 4096**2
    # A float32 copy of what is stored in 16 bits; of float32 itself a view is enough.
    assert found.peak_bytes == cost(4096, 4096, 1, 4).peak_bytes + 4 * 4096**2
    found = cost(4096, 4096, 1, 4)
    # The Gram matrix, reduced in its place, and one block.
    assert 8 * 4096**2 < found.peak_bytes < 2 * 8 * 4096**2
    assert found.threads == 2
    assert cost(768, 768, 1, 4).threads == 1


@given(side, side, st.integers(1, 100))
def test_memory_stays_within_what_the_float64_path_may_take(a, b, S) -> None:
    N, M = max(a, b), min(a, b)
    fixed = 3 * BLOCK_BYTES + 8 * LEAST_ROWS * M
    assert cost(N, M, S, 4).peak_bytes <= 8 * N * M + 4 * 8 * M * M + fixed + 8 * S * M
    if M > SVD_M:
        assert cost(N, M, S, 4).peak_bytes <= 2 * 8 * M * M + fixed + 8 * S * M


@pytest.mark.parametrize("shape", [(2, 3, 1), (3, 0, 1), (3, 2, 0)])
def test_misuse(shape) -> None:
    with pytest.raises(ValueError, match="expected N >= M"):
        cost(*shape, 4)
