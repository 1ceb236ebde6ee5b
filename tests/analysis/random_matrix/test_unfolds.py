"""Unfold rules stacked, fft and farms against matrices written out in full."""

from __future__ import annotations

import numpy as np
import pytest

from zoospectra.analysis.metrics.hill import hill
from zoospectra.analysis.unfold import farms, fft, slices, stacked


def singular(matrices: np.ndarray) -> np.ndarray:
    return np.sort(np.linalg.svd(matrices, compute_uv=False), axis=None)


def circular_map(kernel: np.ndarray, n: int, shift: int) -> np.ndarray:
    """The dense matrix of a circular convolution of (in, n, n) maps, built by adding every single weight."""
    out, inner, kh, kw = kernel.shape
    A = np.zeros((out, n, n, inner, n, n))
    for o, i, a, b, x, y in np.ndindex(out, inner, kh, kw, n, n):
        A[o, x, y, i, (x + a - shift) % n, (y + b - shift) % n] += kernel[o, i, a, b]
    return A.reshape(out * n * n, inner * n * n)


@pytest.mark.parametrize(
    ("shape", "n"),
    [((4, 3, 3, 3), 5), ((3, 4, 3, 3), 4), ((2, 2, 2, 3), 6), ((3, 2, 5, 5), 5), ((2, 3, 5, 3), 4), ((5, 4, 1, 1), 3)],
)
@pytest.mark.parametrize("shift", [0, 1])
def test_fft_gives_the_singular_values_of_the_dense_map(shape, n, shift):
    """Also where the kernel is longer than the map (5 > 4) and for any padding offset."""
    kernel = np.random.default_rng(0).standard_normal(shape)
    matrices = fft.unfold(kernel, "conv2d", n=n)
    assert matrices.shape == (n * n, max(shape[:2]), min(shape[:2]))
    assert matrices.dtype == np.complex128
    # Where out != in, the dense map has as many extra zeros as it is rectangular beyond the blocks: none, they match.
    np.testing.assert_allclose(singular(matrices), singular(circular_map(kernel, n, shift)), atol=1e-12)


def test_fft_in_one_dimension():
    kernel = np.random.default_rng(1).standard_normal((3, 2, 3))
    A = np.zeros((3, 7, 2, 7))
    for o, i, a, x in np.ndindex(3, 2, 3, 7):
        A[o, x, i, (x + a) % 7] += kernel[o, i, a]
    np.testing.assert_allclose(singular(fft.unfold(kernel, "conv1d", n=7)), singular(A.reshape(21, 14)), atol=1e-12)


def test_fft_keeps_the_energy():
    kernel = np.random.default_rng(2).standard_normal((6, 4, 3, 3)).astype(np.float32)
    matrices = fft.unfold(kernel, "conv2d", n=8)
    assert matrices.dtype == np.complex64
    assert np.sum(np.abs(matrices) ** 2) == pytest.approx(64 * np.sum(kernel.astype(float) ** 2), rel=1e-5)


def test_fft_of_a_dense_layer_is_the_layer():
    W = np.random.default_rng(3).standard_normal((3, 5))
    assert np.array_equal(fft.unfold(W, "dense"), W.T[None])
    assert fft.shape_of((3, 5), "dense") == slices.shape_of((3, 5), "dense")


def test_stacked_rows_are_kernel_positions_then_outputs():
    W = np.arange(4 * 3 * 2 * 2.0).reshape(4, 3, 2, 2)
    tall = stacked.unfold(W, "conv2d")
    assert tall.shape == (1, 16, 3)
    for position, output in np.ndindex(4, 4):
        assert np.array_equal(tall[0, position * 4 + output], W[output, :, position // 2, position % 2])


def test_stacked_gram_is_the_sum_over_slices():
    W = np.random.default_rng(4).standard_normal((6, 5, 3, 3))
    by_slice = slices.unfold(W, "conv2d")
    tall = stacked.unfold(W, "conv2d")[0]
    np.testing.assert_allclose(tall.T @ tall, np.einsum("snm,snk->mk", by_slice, by_slice), atol=1e-12)


def test_stacked_turns_a_wide_stack():
    W = np.random.default_rng(4).standard_normal((2, 40, 3, 3))
    assert stacked.unfold(W, "conv2d").shape == (1, 40, 18)
    assert np.array_equal(stacked.unfold(W[:, :, 0, 0], "dense"), W[:, :, 0, 0].T[None])


RULES = [
    (stacked.RULE, "stacked"),
    (fft.rule(6), "fft(n=6)"),
    (farms.RULE, "farms"),
    (farms.rule(aspect=2.0, size=3, stride=2), "farms(aspect=2.0,size=3,stride=2)"),
]


@pytest.mark.parametrize(("rule", "name"), RULES, ids=[name for _, name in RULES])
@pytest.mark.parametrize(
    ("shape", "layer_type"),
    [((12, 7), "dense"), ((7, 12), "embedding"), ((8, 6, 3, 3), "conv2d"), ((6, 8, 5), "conv1d")],
)
def test_the_plan_is_what_the_act_gives(rule, name, shape, layer_type):
    assert rule.name == name
    plan = rule.shape_of(shape, layer_type)
    matrices = rule.unfold(np.random.default_rng(0).standard_normal(shape), layer_type)
    assert matrices.shape == (plan.rf, plan.N, plan.M)
    assert plan.N >= plan.M


@pytest.mark.parametrize(("rule", "name"), RULES, ids=[name for _, name in RULES])
@pytest.mark.parametrize("shape", [(5,), (0, 3), (2, 3, 4)])
def test_shapes_without_a_rule_are_refused(rule, name, shape):
    with pytest.raises(ValueError, match="cannot slice"):
        rule.shape_of(shape, "dense")


@pytest.mark.parametrize(
    ("N", "M", "options"),
    [
        (64, 64, {}),
        (100, 30, {}),
        (100, 30, {"aspect": 2.5}),
        (65, 17, {"size": 8}),
        (65, 17, {"size": 8, "stride": 3}),
    ],
)
def test_windows_cover_every_entry_and_repeat(N, M, options):
    W = np.arange(float(N * M)).reshape(N, M)
    matrices = farms.unfold(W, "dense", **options)
    n, m = matrices.shape[1:]
    assert n == round(options.get("aspect", 1.0) * m)
    assert np.array_equal(np.unique(matrices), W.ravel())
    assert np.array_equal(matrices, farms.unfold(W, "dense", **options))


def test_windows_are_blocks_of_the_matrix_at_even_offsets():
    plan = farms.windows(100, 30, aspect=1.0)
    assert plan == farms.Windows(n=30, m=30, rows=(0, 23, 46, 70), columns=(0,))
    W = np.random.default_rng(0).standard_normal((100, 30))
    assert np.array_equal(farms.unfold(W, "dense")[2], W[46:76])


def test_a_matrix_of_the_wanted_aspect_is_its_own_window():
    W = np.random.default_rng(0).standard_normal((40, 20))
    assert np.array_equal(farms.unfold(W, "dense", aspect=2.0), W[None])


@pytest.mark.parametrize(
    "options", [{"aspect": 0.5}, {"size": 21}, {"aspect": 3.0, "size": 15}, {"stride": 0}, {"size": 0}]
)
def test_windows_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match=r"aspect|fit"):
        farms.unfold(np.ones((40, 20)), "dense", **options)


def test_fft_without_a_map_is_refused():
    with pytest.raises(ValueError, match="side n"):
        fft.rule(0)


def _exponents(rule, kind: str) -> dict[int, float]:
    """Hill's alpha at K/2 of random heavy-tailed matrices 128 Q x 128, mean of three, by Q."""
    found = {}
    for Q in (1, 2, 4, 8):
        alphas = []
        for seed in range(3):
            rng = np.random.default_rng([seed, Q])
            shape = (128 * Q, 128)
            W = (
                rng.standard_t(2.5, shape)
                if kind == "t"
                else (1 - rng.random(shape)) ** -0.5 * rng.choice([-1, 1], shape)
            )
            evals = singular(rule(W)) ** 2
            alphas.append(hill(evals, evals.size // 2))
        found[Q] = float(np.mean(alphas))
    return found


@pytest.mark.parametrize("kind", ["t", "pareto"])
def test_farms_removes_the_bias_of_alpha_with_aspect(kind):
    """The same entries, Q from 1 to 8: the exponent climbs by a third or more on the layer, by under 3 % on windows."""
    plain = _exponents(lambda W: W[None], kind)
    windows = _exponents(lambda W: farms.unfold(W, "dense", size=64), kind)
    assert plain[8] / plain[1] > 1.3
    assert max(windows.values()) / min(windows.values()) < 1.03
