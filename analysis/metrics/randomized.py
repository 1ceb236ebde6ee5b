"""A layer against its own shuffled copies: what of the spectrum is correlation, and traps.

Esd.shuffled holds the eigenvalues of R copies whose entries are shuffled (`analysis.unfold.shuffled`). Shuffling
destroys correlations, so a copy should look like Marchenko-Pastur noise; eigenvalues of a copy beyond the noise's edge,
*correlation traps*, come from single very large entries. Everything is computed per copy and averaged, so that a
value does not depend on R but for its error; the spread over copies is a column of its own.

Against WeightWatcher 0.7.7 (`randomize=True`, same names): it takes one unseeded copy (for K < 100, the largest of five
for max_rand_eval alone), so its columns agree with ours in distribution; its count of traps uses a wider margin, see
`metrics.marchenko_pastur`.

Convolutions: as in `metrics.marchenko_pastur`, slices of unequal variance count as traps when they are pooled. Copies
that come by slice, (S, M) instead of (K,), are judged by slice as well: slice_num_traps.

Not covered: a layer without shuffled copies (all None but rand_replicas = 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoospectra.analysis.marchenko_pastur import TAIL, Bulk, fit_bulk, sigma2_of_entries
from zoospectra.analysis.records import Column, Esd, Fit, FloatArray, Method, Value

COLUMNS = (
    Column("rand_replicas", "bigint", "count", "shuffled copies R that the columns below average over"),
    Column("max_rand_eval", "double", "eigenvalue", "largest eigenvalue of a shuffled copy, mean over copies"),
    Column(
        "max_rand_eval_std", "double", "eigenvalue", "its standard deviation over copies (ddof 1), None for one copy"
    ),
    Column("rand_sv_max", "double", "singular value", "largest singular value of a shuffled copy, mean over copies"),
    Column(
        "rand_distance",
        "double",
        "sqrt(nat)",
        "Jensen-Shannon distance of the sorted eigenvalues, as shares of their sum, from a copy's; mean",
    ),
    Column("ww_softrank", "double", "1", "max_rand_eval / lam_max"),
    Column("ww_maxdist", "double", "eigenvalue", "lam_max - max_rand_eval"),
    Column("rand_sigma_mp", "double", "1", "sigma_mp of a shuffled copy, mean over copies; 1 = pure noise"),
    Column("rand_bulk_min", "double", "eigenvalue", "lower bulk edge of a shuffled copy, mean over copies"),
    Column("rand_bulk_max", "double", "eigenvalue", "upper bulk edge of a shuffled copy, mean over copies"),
    Column("rand_mp_softrank", "double", "1", "bulk_max / lam_max of a shuffled copy, mean over copies"),
    Column(
        "rand_num_spikes",
        "double",
        "count",
        "correlation traps: eigenvalues of a copy beyond its spike edge, mean over copies",
    ),
    Column("num_traps", "bigint", "count", "correlation traps, (lower) median over copies"),
    Column(
        "slice_num_traps", "double", "count", "traps beyond the edge of their own slice, mean; None for pooled copies"
    ),
    Column(
        "num_traps_std", "double", "count", "standard deviation of the traps over copies (ddof 1), None for one copy"
    ),
)


def jensen_shannon(p: FloatArray, q: FloatArray) -> float | None:
    """Jensen-Shannon distance of non-negative vectors (K,), each divided by its sum; natural log, 0 to sqrt(ln 2).

    Equivalent to scipy.spatial.distance.jensenshannon. None when a sum is zero. Raises ValueError for unequal lengths.
    WeightWatcher averages the two before dividing by the sums, which is the same only because shuffling keeps the sum.
    """
    if p.shape != q.shape:
        msg = f"distributions must have equal lengths, got {p.shape} and {q.shape}"
        raise ValueError(msg)
    if p.size == 0 or not (p.max() > 0.0 and q.max() > 0.0):
        return None
    p, q = p / p.max(), q / q.max()
    p, q = p / p.sum(), q / q.sum()
    m = 0.5 * (p + q)
    divergence = 0.5 * (_relative_entropy(p, m) + _relative_entropy(q, m))
    return float(np.sqrt(max(divergence, 0.0)))


def _relative_entropy(p: FloatArray, m: FloatArray) -> float:
    positive = p > 0.0
    return float(np.sum(p[positive] * np.log(p[positive] / m[positive])))


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`; None without shuffled copies, and for the bulk of copies that have none.

    Options: tail, the chance that a noise layer shows any trap (default 0.01).
    """
    tail = float(METHOD.options(options)["tail"])
    row: dict[str, Value] = {column.name: None for column in COLUMNS}
    copies = [np.sort(copy, axis=None) for copy in esd.shuffled]
    row["rand_replicas"] = len(copies)
    if not copies or esd.evals.size == 0 or not esd.evals[-1] > 0.0 or not all(copy[-1] > 0.0 for copy in copies):
        return row
    tops = np.array([copy[-1] for copy in copies])
    lam_max = float(esd.evals[-1])
    distances = [jensen_shannon(esd.evals, copy) for copy in copies if copy.shape == esd.evals.shape]
    row |= {
        "max_rand_eval": float(np.mean(tops)),
        "max_rand_eval_std": _spread(tops),
        "rand_sv_max": float(np.mean(np.sqrt(tops))),
        "rand_distance": _mean([d for d in distances if d is not None]),
        "ww_softrank": float(np.mean(tops / lam_max)),
        "ww_maxdist": float(lam_max - np.mean(tops)),
    }
    row["slice_num_traps"] = _mean([_by_slice(copy, esd, tail) for copy in esd.shuffled if copy.ndim == 2])
    bulks = [fit_bulk(copy, esd.N, esd.M, len(esd.slices), tail) for copy in copies]
    return row | _traps([(copy, bulk) for copy, bulk in zip(copies, bulks, strict=True) if bulk is not None], esd.N)


def _traps(fits: list[tuple[FloatArray, Bulk]], N: int) -> dict[str, Value]:
    """Columns about the bulk and the traps, over the copies whose bulk was fitted; nothing when there are none."""
    if not fits:
        return {}
    counts = np.array([bulk.num_spikes for _, bulk in fits])
    return {
        "rand_sigma_mp": _mean([float(np.sqrt(bulk.sigma2 / sigma2_of_entries(copy, N))) for copy, bulk in fits]),
        "rand_bulk_min": _mean([bulk.bulk_min for _, bulk in fits]),
        "rand_bulk_max": _mean([bulk.bulk_max for _, bulk in fits]),
        "rand_mp_softrank": _mean([bulk.bulk_max / float(copy[-1]) for copy, bulk in fits]),
        "rand_num_spikes": float(np.mean(counts)),
        "num_traps": int(np.sort(counts)[(len(counts) - 1) // 2]),
        "num_traps_std": _spread(counts.astype(np.float64)),
    }


def _by_slice(copy: FloatArray, esd: Esd, tail: float) -> float:
    """Traps of one copy (S, M), every slice against its own noise."""
    fits = [fit_bulk(np.sort(evals), esd.N, esd.M, 1, tail / len(copy)) for evals in copy]
    return float(sum(bulk.num_spikes for bulk in fits if bulk is not None))


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _spread(values: FloatArray) -> float | None:
    """Standard deviation with ddof 1, of values scaled by their largest: squares of extreme values would overflow."""
    if values.size < 2:
        return None
    top = float(np.max(np.abs(values)))
    return float(np.std(values / top, ddof=1)) * top if top > 0.0 else 0.0


METHOD = Method(
    name="randomized",
    columns=COLUMNS,
    citation="Martin and Mahoney 2021, JMLR 22(165); WeightWatcher 0.7.7 randomize",
    needs=("spectrum", "shuffled"),
    cost="0.3 ms a copy",
    run=run,
    defaults={"tail": TAIL},
)
