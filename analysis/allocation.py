"""What a spectrum says that other tools shall do with a layer: train it, prune it, how fast, in how many bits or ranks.

Each function is one published formula on eigenvalues lam of W^T W (N x M, N >= M), so that singular values are
sqrt(lam). Not covered: which layers, and the files that the tools read (jobs/work/export.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from zoospectra.analysis.records import FloatArray


def signal_to_noise(evals: FloatArray, N: int, M: int) -> float:
    """Spectrum's score of a matrix with eigenvalues (K,): (signal / noise) / largest singular value.

    Signal and noise are the sums of singular values above and not above s (1 + sqrt(M / N)), where s is the
    interquartile range of the singular values / 1.349. Infinite where there is no noise, 0 for a matrix of zeros.
    Hartford and others 2024, arXiv:2406.06623; the formula of cognitivecomputations/spectrum, spectrum.py.
    """
    values = np.sqrt(np.maximum(evals, 0.0))
    top = float(values.max(initial=0.0))
    if top == 0.0:
        return 0.0
    low, high = np.quantile(values, [0.25, 0.75])
    threshold = float(high - low) / 1.349 * (1.0 + math.sqrt(M / N))
    signal, noise = float(values[values > threshold].sum()), float(values[values <= threshold].sum())
    return signal / noise / top if noise else math.inf


def hill_alpha(evals: FloatArray) -> float | None:
    """Exponent of the upper half of the eigenvalues (K,) by Hill's estimator; None where they do not differ.

    1 + n / (sum_i ln lam_i - n ln lam_0) over the n largest from the middle on: PL_Alpha_Hill of Zhou and others 2023,
    arXiv:2312.00359, and of AlphaPruning.
    """
    ordered = np.sort(evals[evals > 0.0])
    tail = ordered[len(ordered) // 2 :]
    if len(tail) < 2 or not tail[-1] > tail[0]:
        return None
    return 1.0 + len(tail) / float(np.sum(np.log(tail)) - len(tail) * math.log(tail[0]))


def pruning_ratios(
    scores: Sequence[float], params: Sequence[int], sparsity: float, epsilon: float
) -> tuple[float, ...]:
    """Share of each matrix to prune, so that `sparsity` of all params goes: more where alpha is larger.

    AlphaPruning (Lu and others 2024, arXiv:2410.10912): scores mapped to [1 - epsilon, 1 + epsilon], then scaled.
    Equal scores are pruned equally.
    """
    shape = linear_map(scores, 1.0 - epsilon, 1.0 + epsilon)
    total = sum(count * value for count, value in zip(params, shape, strict=True))
    return tuple(value * sparsity * sum(params) / total for value in shape)


def linear_map(scores: Sequence[float], low: float, high: float) -> tuple[float, ...]:
    """Scores mapped so that the smallest gives `low` and the largest `high`; the middle of both where all are equal.

    TempBalance's learning rates (Zhou and others 2023, arXiv:2312.00359) and AlphaDecay's weight decays (He and others
    2025, arXiv:2506.14562), of alpha. Equivalent to numpy.interp(scores, [min, max], [low, high]).
    """
    least, most = min(scores), max(scores)
    if least == most:
        return tuple((low + high) / 2.0 for _ in scores)
    return tuple(low + (score - least) / (most - least) * (high - low) for score in scores)


def bit_widths(variances: Sequence[float], params: Sequence[int], mean: float) -> tuple[float, ...]:
    """Bits an element of each layer, `mean` on average over all elements: mean + log2(variance / geometric mean) / 2.

    The allocation that makes the errors of all layers equal (Huang and Schultheiss 1963; Gersho and Gray 1992, section
    8.3); no layer gets less than 0. Variances must be above 0.
    """
    logs = [0.5 * math.log2(value) for value in variances]
    used = set(range(len(logs)))
    widths = [0.0] * len(logs)
    while used:  # who would get less than nothing gets nothing, and the others share the rest
        count = sum(params[i] for i in used)
        level = mean * sum(params) / count - sum(params[i] * logs[i] for i in used) / count
        widths = [level + value if i in used else 0.0 for i, value in enumerate(logs)]
        if all(widths[i] >= 0.0 for i in used):
            break
        used = {i for i in used if widths[i] >= 0.0}
    return tuple(max(width, 0.0) for width in widths)


def energy_rank(evals: FloatArray, share: float) -> int:
    """Fewest directions whose Frobenius norm is `share` of that of all: eigenvalues (K,), the largest first taken.

    sv_fro of kohya-ss/sd-scripts, networks/resize_lora.py: the first r with sum of r lam >= share^2 sum of all.
    """
    ordered = np.sort(np.maximum(evals, 0.0))[::-1]
    total = float(ordered.sum())
    if total == 0.0:
        return 1
    rank = int(np.searchsorted(np.cumsum(ordered) / total, share**2)) + 1
    return max(1, min(rank, len(ordered) - 1))
