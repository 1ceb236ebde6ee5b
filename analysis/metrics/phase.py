"""Phase of training of Martin and Mahoney (2021, JMLR 22(165), arXiv:1810.01075), their 5+1 phases, by a written rule.

The paper tells the phases apart by eye; the rule here is ours, and each bound is an option. With K eigenvalues, the
bulk fit of `analysis.marchenko_pastur` (num_spikes, spike_edge, mp_D) and the layer's power-law fit, the first that
holds:

1. rank-collapse: at least `zero_share` (0.1) of the eigenvalues are below 1e-12 lam_max.
2. The bulk is Marchenko-Pastur, mp_D <= `mp_D` + 3 / K (0.01; noise stays below 3 / K in 99 % of matrices):
   random-like   without spikes;
   bleeding-out  when the largest eigenvalue is within `bleed` (1.25) times the spike edge;
   bulk+spikes   otherwise.
3. There is mass beyond the edge (spikes), but the bulk is not Marchenko-Pastur:
   heavy-tailed  when the power law fits: alpha <= `heavy_alpha` (4) and D <= max(0.06, 0.6 / sqrt(n_tail));
   bulk-decay    otherwise.
4. None otherwise: a spectrum narrower than noise (orthogonal weights), of which the paper does not speak, or fewer than
   `min_evals` (50) eigenvalues, of which a shape cannot be told.

alpha <= 4: entries with tail index mu have eigenvalues with alpha = 1 + mu/2, so the paper's weakly heavy-tailed
class mu > 4, which it files under bulk-decay, starts at alpha = 3; finite matrices of a few hundred columns fit about
one more (mu = 2 gives 2.8 to 3.5, mu = 2.5 already 4.4 to 5.4). D: the distance of a fitted tail of n points from its
law is about 0.4 / sqrt(n); a bulk with spikes of one size gives 0.75 / sqrt(n) or more.

Not covered: heavy-tailed spectra by p-value (see the uncertainty metrics); complex slices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoospectra.analysis.marchenko_pastur import TAIL, Bulk, fit_bulk
from zoospectra.analysis.records import Column, Esd, Fit, Method, Status, Value

RANDOM_LIKE = "random-like"
BLEEDING_OUT = "bleeding-out"
BULK_SPIKES = "bulk+spikes"
BULK_DECAY = "bulk-decay"
HEAVY_TAILED = "heavy-tailed"
RANK_COLLAPSE = "rank-collapse"

ZERO = 1e-12
"""Eigenvalues below ZERO * lam_max are zero: float32 rounding of a rank-deficient matrix leaves 1e-14 of lam_max."""

DEFAULTS = {"tail": TAIL, "zero_share": 0.1, "mp_D": 0.01, "bleed": 1.25, "heavy_alpha": 4.0, "min_evals": 50}
"""The bounds of the rule."""

COLUMNS = (
    Column(
        "phase",
        "varchar",
        "1",
        "phase of Martin and Mahoney: random-like, bleeding-out, bulk+spikes, bulk-decay, heavy-tailed, rank-collapse",
    ),
    Column("zero_share", "double", "1", "share of the eigenvalues below 1e-12 lam_max"),
)


def is_heavy_tailed(fit: Fit, heavy_alpha: float) -> bool:
    """Whether the power law describes the tail: rule 3 of the module."""
    if fit.status is not Status.SUCCESS or fit.alpha is None or fit.D is None or not fit.n_tail:
        return False
    limit = max(0.06, 0.6 / float(np.sqrt(fit.n_tail)))
    alpha, distance = fit.alpha, fit.D
    return alpha <= heavy_alpha and distance <= limit


def phase(K: int, top: float, bulk: Bulk | None, fit: Fit, options: Mapping[str, Any]) -> str | None:
    """Rules 2 to 4 of the module for a layer of K eigenvalues, the largest being `top`."""
    if bulk is None:
        return None
    limit = options["mp_D"] + 3.0 / K
    distance = bulk.D
    if distance <= limit:
        if bulk.num_spikes == 0:
            return RANDOM_LIKE
        near = top <= options["bleed"] * bulk.spike_edge
        return BLEEDING_OUT if near else BULK_SPIKES
    if bulk.num_spikes == 0:
        return None
    return HEAVY_TAILED if is_heavy_tailed(fit, options["heavy_alpha"]) else BULK_DECAY


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`, on the pooled ESD; None for layers without a spectrum.

    Options: tail (see `marchenko_pastur`), zero_share, mp_D, bleed, heavy_alpha, min_evals: the bounds of the rule.
    """
    chosen = METHOD.options(options)
    K = esd.evals.size
    if K == 0 or not esd.evals[-1] > 0.0:
        return {"phase": None, "zero_share": None}
    top = float(esd.evals[-1])
    zero_share = float(np.mean(esd.evals < ZERO * top))
    label = None
    if chosen["min_evals"] <= K:
        if zero_share >= chosen["zero_share"]:
            label = RANK_COLLAPSE
        else:
            bulk = fit_bulk(esd.evals, esd.N, esd.M, len(esd.slices), chosen["tail"])
            label = phase(K, top, bulk, fit, chosen)
    return {"phase": label, "zero_share": zero_share}


METHOD = Method(
    name="phase",
    columns=COLUMNS,
    citation="Martin and Mahoney 2021, JMLR 22(165), section 4; the bounds are ours, see the module",
    needs=("spectrum", "fit"),
    cost="0.2 ms",
    run=run,
    defaults=DEFAULTS,
)
