"""Distances between layers: written out, invariances, and where WeightWatcher's 'cka' is not CKA."""

from __future__ import annotations

import numpy as np
import pytest

from zoospectra.analysis.distance import cka, difference, frobenius, layer_distance, moments, overlap


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((30, 12))
    return A, A + 0.5 * rng.standard_normal((30, 12))


def test_difference_is_exact_in_float64():
    base = np.float32([[1.0, 2.0]])
    fine = np.nextafter(base, np.float32(9.0))
    assert difference(fine, base).dtype == np.float64
    assert np.all(difference(fine, base) > 0)
    assert np.array_equal(difference(base, base), np.zeros((1, 2)))


def test_difference_of_low_rank_updates_is_their_spectrum():
    rng = np.random.default_rng(1)
    base, B, A = rng.standard_normal((40, 30)), rng.standard_normal((40, 3)), rng.standard_normal((3, 30))
    values = np.linalg.svd(difference(base + B @ A, base), compute_uv=False)
    assert np.count_nonzero(values > 1e-10) == 3
    np.testing.assert_allclose(values[:3], np.linalg.svd(B @ A, compute_uv=False)[:3], rtol=1e-10)


def test_frobenius_is_numpys(pair):
    A, B = pair
    assert frobenius(A, B) == pytest.approx(np.linalg.norm(A - B), rel=1e-14)
    conv = np.random.default_rng(0).standard_normal((2, 4, 5, 3, 3))
    assert frobenius(*conv) == pytest.approx(np.linalg.norm(conv[0] - conv[1]), rel=1e-14)
    assert frobenius(A, A) == 0.0


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_extreme_scales_neither_overflow_nor_vanish(pair, factor):
    A, B = pair
    assert frobenius(A * factor, B * factor) == pytest.approx(factor * np.linalg.norm(A - B), rel=1e-12, abs=0)
    assert cka(A * factor, B) == pytest.approx(cka(A, B), rel=1e-12)
    assert overlap(A * factor, B / factor) == pytest.approx(overlap(A, B), rel=1e-12)
    assert overlap(-abs(A) * factor, B) == pytest.approx(overlap(abs(A), B), rel=1e-12)
    assert overlap(-abs(A) * factor * 1j, B) == pytest.approx(overlap(abs(A), B), rel=1e-12)


def test_cka_is_the_alignment_of_centred_gram_matrices(pair):
    """Kornblith et al. 2019: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = A A^T, L = B B^T, centred by H."""
    A, B = pair
    H = np.eye(30) - 1 / 30
    K, L = H @ A @ A.T @ H, H @ B @ B.T @ H
    expected = np.sum(K * L) / np.sqrt(np.sum(K * K) * np.sum(L * L))
    assert cka(A, B) == pytest.approx(expected, rel=1e-12)


def test_overlap_is_the_root_of_uncentred_cka(pair):
    A, B = pair
    K, L = A @ A.T, B @ B.T
    assert overlap(A, B) ** 2 == pytest.approx(np.sum(K * L) / np.sqrt(np.sum(K * K) * np.sum(L * L)), rel=1e-12)


def test_cka_does_not_see_rotations_and_factors(pair):
    A, B = pair
    R = np.linalg.qr(np.random.default_rng(3).standard_normal((12, 12)))[0]
    assert cka(A, A) == pytest.approx(1.0, rel=1e-12)
    assert cka(A @ R, -3.0 * A) == pytest.approx(1.0, rel=1e-12)
    assert cka(A, B @ R) == pytest.approx(cka(A, B), rel=1e-10)
    assert 0.0 < cka(A, np.random.default_rng(9).standard_normal((30, 12))) < 0.5


def test_cka_does_not_see_column_means_but_overlap_does(pair):
    A, B = pair
    assert cka(A + 5.0, B) == pytest.approx(cka(A, B), rel=1e-10)
    assert abs(overlap(A + 5.0, B) - overlap(A, B)) > 0.1


def test_layers_without_direction_have_no_alignment(pair):
    A, _ = pair
    assert overlap(A, np.zeros_like(A)) is None
    assert cka(A, np.full_like(A, 0.1)) is None
    assert overlap(A, np.full_like(A, 0.1)) is not None


@pytest.mark.parametrize("kinds", [("f4", "f4"), ("f8", "f4"), ("c8", "f8"), ("f4", "c16"), ("c16", "c8")])
@pytest.mark.parametrize("shape", [(30, 12), (5,), (4, 3, 2, 2), (0, 3)])
@pytest.mark.parametrize("rows", [1, 7, 10**6])
def test_sums_over_all_elements_are_numpys(kinds, shape, rows, monkeypatch):
    monkeypatch.setattr("zoospectra.analysis.distance.PAIR_BLOCK_BYTES", rows)
    rng = np.random.default_rng(0)
    A, B = ((rng.standard_normal(shape) + 1j * rng.standard_normal(shape) * (kind[0] == "c")) for kind in kinds)
    A, B = (
        side.astype(kind) if kind[0] == "c" else side.real.astype(kind)
        for side, kind in zip((A, B), kinds, strict=True)
    )
    found, (X, Y) = moments(A, B), (side.astype("c16").ravel() for side in (A, B))
    sizes = [np.linalg.norm(vector) for vector in (X, Y, X - Y)]
    assert (found.size, found.base, found.moved) == pytest.approx(sizes, rel=1e-12)
    assert found.product == pytest.approx(np.vdot(Y, X).real, rel=1e-12)
    assert difference(A, B).dtype == ("c16" if "c" in kinds[0] + kinds[1] else "f8")
    assert frobenius(A, B) == pytest.approx(sizes[2], rel=1e-12)
    if X.size:
        assert found.distance == pytest.approx(sizes[2] / sizes[1], rel=1e-12)
        assert found.cosine == pytest.approx(np.vdot(Y, X).real / sizes[0] / sizes[1], rel=1e-12)
    for one, other in ((A, 0 * B), (0 * A, B)):
        assert moments(one, other).cosine is None
        assert (moments(one, other).distance is None) == (not other.any())


def test_alignment_of_complex_layers_is_that_of_their_gram_matrices(pair):
    A, B = (side[:, :6] + 1j * side[:, 6:] for side in pair)
    for centre, found in ((np.eye(30) - 1 / 30, cka(A, B)), (np.eye(30), overlap(A, B) ** 2)):
        X, Y = centre @ A, centre @ B
        norms = [np.linalg.norm(one.conj().T @ other) for one, other in ((X, Y), (X, X), (Y, Y))]
        assert found == pytest.approx(norms[0] ** 2 / norms[1] / norms[2], rel=1e-12)


def test_slices_are_averaged():
    rng = np.random.default_rng(5)
    A, B = rng.standard_normal((2, 9, 8, 6))
    assert layer_distance(A, B, "frobenius") == pytest.approx(
        np.mean([np.linalg.norm(a - b) for a, b in zip(A, B, strict=True)])
    )
    A[3] = 0.0
    assert layer_distance(A, B, "overlap") is None
    with pytest.raises(ValueError, match="unfolded layers"):
        layer_distance(A[:0], B[:0], "cka")


def test_misuse_is_refused(pair):
    A, B = pair
    with pytest.raises(ValueError, match="match the layers by name"):
        frobenius(A, B[:-1])
    with pytest.raises(ValueError, match="one shape"):
        cka(A, B[:, :-1])
    with pytest.raises(ValueError, match="known measures: cka, frobenius, overlap"):
        layer_distance(A[None], B[None], "cosine")
    with pytest.raises(ValueError, match="unfolded layers"):
        layer_distance(A, B, "cka")


@pytest.mark.parametrize("rows", [1, 7, 29])
def test_blocks_of_rows_make_no_difference(pair, rows, monkeypatch):
    A, B = pair
    whole = difference(A, B), cka(A, B), overlap(A, B), frobenius(A, B)
    monkeypatch.setattr("zoospectra.analysis.distance.PAIR_BLOCK_BYTES", 8 * 12 * rows)
    assert np.array_equal(difference(A, B), whole[0])
    assert (cka(A, B), overlap(A, B), frobenius(A, B)) == pytest.approx(whole[1:], rel=1e-12)
