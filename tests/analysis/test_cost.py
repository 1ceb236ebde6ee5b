"""Costs: monotone, from shapes alone, refused for shapes that are not matrices."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoospectra.analysis.cost import cost, fit_seconds, pair_bytes, several_large, with_one_thread
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


# Flop/s by M: of the Gram matrix counted in full, and of its eigenvalues (4/3 M^3); seconds of a fit by eigenvalues.
GRAM = {1: 2e9, 16: 2e9, 40: 7e9, 64: 12e9, 256: 32e9, 512: 46e9, 1024: 48e9, 5000: 50e9}
SOLVE = {1: 0.7e9, 16: 0.7e9, 32: 1.5e9, 48: 2.3e9, 64: 3.1e9, 128: 5.9e9, 256: 11e9, 512: 16e9, 768: 22e9, 1024: 24e9,
         2048: 24e9, 2560: 25.25e9, 3072: 26.5e9, 4096: 29e9, 5000: 29e9}  # fmt: skip
FITS = {1: 1e-4, 144: 1.5e-4, 576: 2.5e-4, 864: 3.75e-4, 1152: 5e-4, 4608: 1.4e-3, 32768: 1e-2, 99999: 1e-2}


@pytest.mark.parametrize("M", [1, 16, 64, 256, 512, 1024, 5000])
def test_seconds_are_flops_over_rates(M: int) -> None:
    threads = 1.6 if M > 3000 else 1.0
    for S, N in ((1, 7 * M), (5, 2 * M)):
        gram = N * M**2 / GRAM[M]
        assert cost(N, M, S, 4).seconds == pytest.approx(5e-5 + S * (gram + 4 / 3 * M**3 / SOLVE[M]) / threads)
    # a nearly square matrix may need singular values after the Gram matrix
    for N, nearly in ((6 * M // 5, True), (6 * M // 5 + 1, False)):
        once = N * M**2 / GRAM[M] + 4 / 3 * M**3 / SOLVE[M]
        again = 1.25 if nearly and M <= 2048 else 1.0
        assert cost(N, M, 1, 4).seconds == pytest.approx(5e-5 + once * again / threads)


@pytest.mark.parametrize("M", list(SOLVE))
def test_rates_of_a_core(M: int) -> None:
    solved = cost(10**9, M, 1, 4), cost(2 * 10**9, M, 1, 4)
    gram = solved[1].seconds - solved[0].seconds
    threads = 1.6 if M > 3000 else 1.0
    if M in GRAM:
        assert gram == pytest.approx(10**9 * M**2 / GRAM[M] / threads, rel=1e-9)
    tall = cost(2 * M, M, 1, 4).seconds - 5e-5 - 2 * M / 10**9 * gram
    assert tall == pytest.approx(4 / 3 * M**3 / SOLVE[M] / threads, rel=1e-6)


def test_the_largest_sizes_of_a_rule_count_to_it() -> None:
    assert [cost(M, M, 1, 4).threads for M in (3000, 3001)] == [1, 2]
    assert cost(2049, 2049, 1, 4).seconds < cost(2048, 2048, 1, 4).seconds
    assert [several_large(sides) for sides in ([3001, 3001], [3001, 3000], [3001], [])] == [True, False, False, False]
    one, two = cost(3000, 3000, 1, 4), cost(3001, 3001, 1, 4)
    assert with_one_thread(one) == one
    assert with_one_thread(two) == replace(two, threads=1, seconds=1.6 * two.seconds)


@pytest.mark.parametrize("itemsize", [1, 2, 3, 4, 8])
def test_a_copy_in_float32_is_made_of_what_is_shorter(itemsize: int) -> None:
    found, plain = cost(300, 20, 3, itemsize), cost(300, 20, 3, 4)
    assert found.bytes_read == 300 * 20 * 3 * itemsize
    assert found.peak_bytes - plain.peak_bytes == (4 * 300 * 20 * 3 if itemsize < 4 else 0)
    assert found.flops == pytest.approx(3 * (300 * 20**2 + 4 / 3 * 20**3))


@pytest.mark.parametrize(("N", "M", "S"), [
    (300, 20, 3), (9000, 20, 3), (10**6, 20, 3), (300, 256, 1), (300, 257, 2), (70_000, 300, 1), (2048, 2048, 1),
    (9000, 2048, 1), (2049, 2049, 1), (50_000, 2560, 2),
])  # fmt: skip
def test_memory_block_by_block(N: int, M: int, S: int) -> None:
    """One float64 block of 32 MiB and the kernel's matrices, or the matrix (tall: some rows and a triangle)."""
    block, square = 32 << 20, 8 * M * M
    if M <= 256:
        gram = 2 * min(8 * N * M * S, max(block, 8 * N * M)) + 3 * square
    else:
        gram = min(8 * N * M, 8 * M * max(256, block // (8 * M))) + square
    at_once = max(4 * M, block // (8 * M))
    whole = (8 * N * M if at_once >= N else 8 * (at_once + M) * M) + 3 * square if M <= 2048 else 0
    assert cost(N, M, S, 4).peak_bytes == max(gram, whole) + 8 * S * M + (4 << 20)


@pytest.mark.parametrize("K", list(FITS))
def test_seconds_of_a_fit(K: int) -> None:
    assert fit_seconds(K) == pytest.approx(1e-4 + FITS[K])
    assert fit_seconds(K, 100) == pytest.approx(1e-4 + FITS[K] + 1.7e-7 * 100 * K)


@pytest.mark.parametrize(("N", "M", "S", "copied"), [
    (9, 4, 2, 0), (3000, 900, 1, 4), (3000, 900, 1, 8), (90_000, 3, 5, 4), (5000, 5000, 1, 0), (50_000, 20, 9, 8),
])  # fmt: skip
def test_memory_of_two_layers(N: int, M: int, S: int, copied: int) -> None:
    """Three blocks of 8 MiB, or two and two Gram matrices; a spectrum; their difference, and its spectrum."""
    values, slack, single = N * M * S, 4 << 20, cost(N, M, S, 4).peak_bytes
    block = min(8 * values, max(8 << 20, 8 * M))
    compared = max(3 * block, 2 * block + 2 * 8 * M * M) + slack
    assert pair_bytes(N, M, S, copied) == max(
        copied * values + single, copied * values + compared, (copied + 8) * values + slack, 8 * values + single
    )


@pytest.mark.parametrize("shape", [(2, 2, 1, 0), (1, 2, 1, 4), (2, 2, 0, 4), (1, 0, 1, 4)])
def test_no_matrix_has_no_cost(shape: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="expected N >= M >= 1, S >= 1 and itemsize >= 1"):
        cost(*shape)
    assert cost(1, 1, 1, 1).bytes_read == 1
