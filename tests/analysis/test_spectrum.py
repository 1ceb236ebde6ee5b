"""Spectra against singular values, at every size class, type and scale."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoospectra.analysis.kernels import KERNELS
from zoospectra.analysis.spectrum import SVD_M, is_finite, spectrum

STACKED_M, OPENBLAS_M = int(KERNELS["stacked"].largest), int(KERNELS["openblas"].largest)
EPS = np.finfo(np.float64).eps


def by_svd(slices: np.ndarray) -> np.ndarray:
    """Squared singular values, ascending, by LAPACK's gesdd in double precision."""
    wide = slices.astype(np.result_type(slices.dtype, np.float64))
    return np.linalg.svd(wide, compute_uv=False)[:, ::-1] ** 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize(
    ("S", "N", "M"),
    [(1, 1, 1), (3, 7, 1), (500, 8, 8), (9, 64, 16), (2, STACKED_M, STACKED_M), (2, 400, STACKED_M + 1)],
)
def test_agrees_with_singular_values(S, N, M, dtype) -> None:
    rng = np.random.default_rng(S * N + M)
    slices = rng.normal(size=(S, N, M)).astype(dtype)
    if np.iscomplexobj(slices):
        slices = slices + 1j * rng.normal(size=(S, N, M)).astype(dtype)
    found = spectrum(slices)
    expected = by_svd(slices)
    assert np.all(np.abs(found.evals - expected) <= 40 * EPS * expected[:, -1:] + 1e-15 * N * expected[:, -1:])
    # Where the Gram matrix does not resolve the smallest value, singular values are used.
    assert np.allclose(np.sqrt(found.evals[:, 0]), np.sqrt(expected[:, 0]), rtol=2e-7)
    assert (found.N, found.M, found.device) == (N, M, "cpu")


def test_large_matrices_by_the_other_solver() -> None:
    M = OPENBLAS_M + 4
    rng = np.random.default_rng(3)
    known = np.geomspace(1e-3, 1.0, M)
    # W = reflection * diagonal * reflection has known singular values.
    u, v = (vector / np.linalg.norm(vector) for vector in rng.normal(size=(2, M)))
    W = np.diag(known)
    W -= 2 * np.outer(u, u @ W)
    W -= 2 * np.outer(W @ v, v)
    found = spectrum(W[None])
    assert found.method == "gram"
    assert np.allclose(found.evals[0], known**2, atol=1e-13, rtol=0)


def test_blocks_of_rows_give_the_same_as_one_block(monkeypatch) -> None:
    W = np.random.default_rng(5).normal(size=(1, 3000, 300)).astype(np.float32)
    expected = by_svd(W)
    monkeypatch.setattr("zoospectra.analysis.kernels.cast.BLOCK_BYTES", 1)
    assert np.allclose(spectrum(W).evals, expected, rtol=1e-12)
    W[:, :, 0] = 0
    found = spectrum(W)
    assert found.method == "svd"
    assert np.allclose(found.evals, by_svd(W), rtol=1e-12, atol=1e-20)


@given(
    st.integers(1, 12),
    st.integers(0, 12),
    st.integers(1, 4),
    st.integers(-120, 120),
    st.integers(0, 2**32 - 1),
    st.integers(0, 12),
)
@settings(max_examples=60, deadline=None)
def test_scale_order_and_transposition_do_not_matter(M, more, S, decade, seed, rank) -> None:
    rng = np.random.default_rng(seed)
    N = M + more
    slices = rng.normal(size=(S, N, rank)) @ rng.normal(size=(S, rank, M))
    plain, scaled = spectrum(slices), spectrum(slices * 10.0**decade)
    top = np.maximum(plain.evals[:, -1:], 1e-300)
    assert np.all(np.abs(scaled.evals * 10.0 ** (-2 * decade) - plain.evals) <= 1e-13 * N * top)
    mixed = slices[:, rng.permutation(N)][:, :, rng.permutation(M)]
    assert np.all(np.abs(spectrum(mixed).evals - plain.evals) <= 1e-13 * N * top)
    assert np.all(np.diff(plain.evals, axis=1) >= 0)
    assert np.all(plain.evals >= 0)
    # Numerical rank, as np.linalg.matrix_rank counts it.
    svals = np.sqrt(plain.evals)
    assert np.all((svals > svals[:, -1:] * N * EPS).sum(axis=1) <= min(rank, M))


def test_a_denormal_matrix_has_its_spectrum() -> None:
    W = np.full((1, 4, 2), 5e-324)
    assert spectrum(W).evals.tolist() == [[0.0, 0.0]]
    tiny = np.full((1, 4, 2), 1e-40, dtype=np.float32)
    assert spectrum(tiny).evals[0, 1] == pytest.approx(8 * float(tiny[0, 0, 0]) ** 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
def test_damage_is_found_wherever_it_is(bad, dtype) -> None:
    for index in ((0, 0, 0), (1, 4, 2), (2, 9, 4)):
        slices = np.ones((3, 10, 5), dtype=dtype)
        assert is_finite(slices)
        slices[index] = bad
        assert not is_finite(slices)
        with pytest.raises(ValueError, match="NaN or infinity"):
            spectrum(slices)


def test_is_finite_of_every_float16() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    assert [is_finite(every[[n]]) for n in range(len(every))] == np.isfinite(every).tolist()


def test_is_finite_of_nothing_and_of_the_largest_number() -> None:
    assert is_finite(np.zeros((0, 3)))
    assert is_finite(np.array([np.finfo(np.float64).max]))
    largest = np.full((4, 3, 2), np.finfo(np.float32).max, dtype=np.float32)
    assert is_finite(largest)
    assert is_finite(largest.transpose(2, 0, 1))
    largest[3, 2, 1] = np.nan
    assert not is_finite(largest.transpose(2, 0, 1)[:, 1::2])


@pytest.mark.parametrize("shape", [(3, 2), (1, 2, 3), (0, 2, 2), (1, 2, 0), (1, 1, 2, 2)])
def test_misuse_is_refused(shape) -> None:
    with pytest.raises(ValueError, match="unfold"):
        spectrum(np.ones(shape))


def test_overflow_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="exceed 1e"):
        spectrum(np.full((1, 2, 2), 1e200))


MEASURE = """
import resource, sys
import numpy as np
from zoospectra.analysis.cost import cost
from zoospectra.analysis.spectrum import spectrum
N, M, deficient = (int(word) for word in sys.argv[1:])
rng = np.random.default_rng(0)
W = rng.standard_normal((1, N, M), dtype=np.float32)
if deficient:
    W[:, :, 0] = 0
spectrum(W[:, : max(M, 64), :] if M > 2048 else W[:, :64, :64])  # libraries and their buffers
if M <= 2048:
    spectrum(np.ones((1, 300, 300), dtype=np.float32))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = spectrum(W)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024, cost(N, M, 1, 4).peak_bytes, N * M * 8, found.method)
"""


@pytest.mark.parametrize(("N", "M", "deficient"), [(40000, 800, 0), (40000, 400, 1)])
def test_peak_memory_is_what_the_plan_says(N, M, deficient) -> None:
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(N), str(M), str(deficient)], capture_output=True, text=True, check=True
    )
    grown, planned, float64_copy = (int(word) for word in run.stdout.split()[:3])
    assert run.stdout.split()[3] == ("svd" if deficient else "gram")
    assert grown <= planned
    assert planned < float64_copy
    assert run.stderr == ""


def test_the_svd_limit_covers_what_the_stacked_path_takes() -> None:
    assert STACKED_M <= OPENBLAS_M <= SVD_M
