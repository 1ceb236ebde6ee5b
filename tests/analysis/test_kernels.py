"""Kernels against one another and numpy: values, repeatable bits, chosen by size; a GPU's where there is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from zoospectra.analysis.kernels import KERNELS, cuda, kernel, svd
from zoospectra.analysis.kernels.cast import block_rows, scaled
from zoospectra.analysis.kernels.gram import gram
from zoospectra.analysis.kernels.parts import subtract_both, symmetric_times
from zoospectra.analysis.kernels.smallest import smallest
from zoospectra.analysis.spectrum import spectrum

EPS = np.finfo(np.float64).eps
CPU = torch.device("cpu")


def on_torch(slices: np.ndarray, exponent: int) -> np.ndarray:
    """The GPU kernel's code on torch's CPU device, in batches of two."""
    return cuda.evals(slices, exponent, CPU, batch=2)


EVERY = {name: one.evals for name, one in KERNELS.items()} | {"svd": svd.evals, "torch": on_torch}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("S", "N", "M"), [(1, 5, 2), (3, 40, 17), (2, 300, 264), (1, 700, 33)])
def test_every_kernel_gives_the_same_values(name, dtype, S, N, M) -> None:
    slices = np.random.default_rng(M).normal(size=(S, N, M)).astype(dtype)
    slices.flags.writeable = False
    expected = np.linalg.svd(slices.astype(float), compute_uv=False)[:, ::-1] ** 2
    tolerance = 4 * N * EPS * expected[:, -1:]
    assert np.all(np.abs(EVERY[name](slices, 0) - expected) <= tolerance)
    assert np.all(np.abs(EVERY[name](slices, 9) * 4.0**9 - expected) <= tolerance)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda rng: rng.normal(size=(320, 320)) * np.exp(rng.normal(size=320)), 6),
        (lambda rng: rng.normal(size=(500, 300)) * np.logspace(-6, 0, 300), 4),
        (lambda rng: rng.normal(size=(320, 320)) * (np.arange(320) > 4), 5),
    ],
)
def test_the_smallest_singular_values_alone(make, count, turned) -> None:
    W = make(np.random.default_rng(3))
    W = np.asfortranarray(W) if turned else W
    expected = np.linalg.svd(W, compute_uv=False)[::-1]
    squares = smallest(W, 5, count)
    assert squares is not None
    assert np.abs(32 * np.sqrt(squares) - expected[:count]).max() <= W.shape[1] ** 0.5 * EPS * expected[-1]
    assert smallest(W, 0, 150) is None


def test_few_unresolved_values_or_many_are_those_of_all_singular_values() -> None:
    rng = np.random.default_rng(5)
    few, many = rng.normal(size=(300, 300)), rng.normal(size=(300, 300))
    few[:, 7], many[:, :40] = few[:, 8] + 1e-7 * rng.normal(size=300), 0.0
    for W, missing in ((few, 0), (many, 40)):
        found = spectrum(W[None])
        values, expected = np.sqrt(found.evals[0]), np.linalg.svd(W, compute_uv=False)[::-1]
        assert found.method == "svd"
        assert np.abs(values - expected).max() <= 1e-12 * expected[-1]
        assert np.allclose(values[missing:], expected[missing:], rtol=1e-7, atol=0)
        assert np.all(np.diff(values) >= 0)


@pytest.mark.parametrize("name", ["openblas", "banded"])
def test_a_matrix_seen_from_its_side_has_the_same_bits(name) -> None:
    wide = np.random.default_rng(6).normal(size=(70, 300)).astype(np.float32)
    turned = wide.T[None]
    assert np.array_equal(KERNELS[name].evals(turned, 3), KERNELS[name].evals(np.ascontiguousarray(turned), 3))


@pytest.mark.parametrize("name", ["stacked", "svd", "torch"])
def test_complex_slices(name) -> None:
    rng = np.random.default_rng(1)
    slices = rng.normal(size=(3, 30, 12)) + 1j * rng.normal(size=(3, 30, 12))
    expected = np.linalg.svd(slices, compute_uv=False)[:, ::-1] ** 2
    assert np.allclose(EVERY[name](slices, 0), expected, rtol=1e-11)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_matrix_gives_the_same_bits_wherever_it_lies(name, threads) -> None:
    M = 257
    W = np.random.default_rng(2).normal(size=(1, 300, M)).astype(np.float32)
    before = torch.get_num_threads()
    held, seen = [], set()
    with threadpool_limits(threads):
        torch.set_num_threads(threads)
        for shift in range(6):
            held.append(np.ones(1000 * shift + 3))  # moves what is allocated next
            seen.add(KERNELS[name].evals(W, 0).tobytes())
    torch.set_num_threads(before)
    assert len(seen) == 1


def test_one_thread_and_two_agree() -> None:
    """Threads are chosen by the plan; what is known of a tensor holds for both: 1e-13 of the largest eigenvalue."""
    W = np.random.default_rng(4).normal(size=(1, 900, 700)).astype(np.float32)
    before, values = torch.get_num_threads(), []
    for threads in (1, 2):
        with threadpool_limits(threads):
            torch.set_num_threads(threads)
            values.append(KERNELS["banded"].evals(W, 0)[0])
    torch.set_num_threads(before)
    assert np.abs(values[0] - values[1]).max() <= 1e-13 * values[0][-1]


@pytest.mark.parametrize("M", [1, 2, 48, 49, 50, 97, 240, 300])
def test_a_band_between_keeps_the_eigenvalues(M) -> None:
    """Sides around the band's width, a column of zeros, a matrix that is banded already, and one of zeros."""
    W = np.random.default_rng(M).normal(size=(1, 310, M))
    diagonal = np.zeros((1, 310, M))
    diagonal[0, range(M), range(M)] = np.arange(M, 0, -1.0)
    dead = W * (np.arange(M) != M // 2)
    for slices in (W, dead, diagonal, np.zeros((1, 310, M))):
        expected = np.linalg.eigvalsh(slices[0].T @ slices[0])
        found = KERNELS["banded"].evals(slices, 0)[0]
        assert np.allclose(found, expected, rtol=0, atol=1e-14 * 40 * expected[-1])


def test_products_of_parts_of_a_symmetric_matrix(monkeypatch) -> None:
    monkeypatch.setattr("zoospectra.analysis.kernels.parts.BLOCK", 16)
    rng = np.random.default_rng(7)
    whole = np.asfortranarray(rng.normal(size=(60, 60)))
    part = whole[10:50, 10:50]
    A = np.tril(part) + np.tril(part, -1).T
    B, C = (np.asfortranarray(rng.normal(size=(40, 7))) for _ in range(2))
    assert np.allclose(symmetric_times(part, B), A @ B, rtol=1e-13, atol=1e-13)
    before = whole.copy()
    subtract_both(part, B, C)
    assert np.allclose(np.tril(part), np.tril(A - B @ C.T - C @ B.T), rtol=1e-13, atol=1e-13)
    assert np.array_equal(np.triu(whole, 1), np.triu(before, 1))
    assert np.array_equal(whole[50:], before[50:])


def test_gram_sums_over_blocks_of_rows(monkeypatch) -> None:
    W = np.random.default_rng(0).normal(size=(1000, 30)).astype(np.float32)
    whole = gram(W, 0)
    monkeypatch.setattr("zoospectra.analysis.kernels.cast.BLOCK_BYTES", 1)
    assert block_rows(30) == 256
    assert np.allclose(np.tril(gram(W, 0)), np.tril(whole), rtol=1e-12, atol=1e-10)
    assert np.allclose(np.tril(gram(W, 3)) * 64, np.tril(whole), rtol=1e-12, atol=1e-10)


def test_scaling_is_exact_at_the_ends_of_float64() -> None:
    tiny, huge = np.array([[5e-324]]), np.array([[1.7e308]])
    assert scaled(tiny, -1073)[0, 0] == 0.5
    assert 0.5 <= scaled(huge, 1024)[0, 0] < 1


@given(st.integers(1, 30000))
def test_one_kernel_for_every_size(M) -> None:
    assert kernel(M).largest >= M
    assert all(smaller.largest < M for smaller in list(KERNELS.values())[: list(KERNELS.values()).index(kernel(M))])
    assert kernel(M, is_complex=True) is KERNELS["stacked"]


@given(st.integers(1, 500), st.integers(1, 40000), st.integers(1, 20000), st.integers(0, 150 << 30))
def test_a_gpu_batch_fits_the_free_memory(S, a, b, free) -> None:
    N, M = max(a, b), min(a, b)
    size = cuda.batch_size(S, N, M, free)
    assert 1 <= size <= S
    held = size * cuda.MATRICES * 8 * M * M + 16 * min(N, block_rows(M)) * M
    assert size == 1 or held <= free
    assert cuda.batch_size(S, N, M, 2 * free) >= size


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cpu:0", "", "cuda:4000"])
def test_a_device_that_is_not_there_is_misuse(device) -> None:
    with pytest.raises(ValueError, match="device"):
        spectrum(np.ones((1, 3, 2)), device=device)


@pytest.fixture
def gpu() -> str:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    return "cuda:0"


@pytest.mark.parametrize(("S", "N", "M"), [(1, 2000, 1000), (5, 1100, 1030), (1, 4096, 4096)])
def test_gpu_agrees_with_cpu(gpu, S, N, M) -> None:
    slices = np.random.default_rng(N).normal(size=(S, N, M)).astype(np.float32)
    found, expected = spectrum(slices, device=gpu), spectrum(slices)
    assert (found.device, expected.device) == (gpu, "cpu")
    assert found.evals.dtype == np.float64
    assert np.all(np.abs(found.evals - expected.evals) <= 1e-12 * expected.evals[:, -1:])
    assert spectrum(slices[:, :, :20], device=gpu).device == "cpu"
