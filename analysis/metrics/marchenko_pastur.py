"""Noise level, bulk edges and spikes of a layer against the Marchenko-Pastur law (`analysis.marchenko_pastur`).

How scaling enters: W -> c W makes sigma_entries c times and every edge c^2 times as large, so both are in the units of
the profile's scaled weights; sigma_mp, mp_softrank, mp_D and every count do not change at all.

Convolutions: the law speaks about one N x M matrix. sigma, edges, mp_softrank, mp_D and num_spikes treat the pooled ESD
of all slices as one sample of one law, as WeightWatcher does, with the false-alarm rate shared by the slices; slices of
unequal variance (the centre of a 3 x 3 kernel) then count as spikes. slice_num_spikes therefore judges every slice by
its own bulk fit and adds up.

Against WeightWatcher 0.7.7's mp_fit (same names and units): it fits a kernel density on a grid of sigma; for Q = 1 it
fits singular values to a quarter circle whose support does not move with sigma, and its margin for spikes is the square
root of the Tracy-Widom scale, several times too wide. Here the fit has no bandwidth, one rule for every Q and an exact
Tracy-Widom quantile, so num_spikes is mostly larger and tells weak spikes from noise at a stated rate.

Where mp_D is large (0.05 and more) the bulk is not noise, and num_spikes says only how much of the spectrum is beyond
what its own core explains.

Not covered: complex slices (unfold rule 'fft'), whose edge follows another Tracy-Widom law.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoospectra.analysis.marchenko_pastur import TAIL, fit_bulk, sigma2_of_entries
from zoospectra.analysis.records import Column, Esd, Fit, Method, Value

COLUMNS = (
    Column("sigma_entries", "double", "weight", "sqrt(sum lam / (N K)): root mean square entry of the scaled matrices"),
    Column(
        "sigma_mp",
        "double",
        "1",
        "root mean square of the noise left when spikes are removed / sigma_entries; 1 = pure noise",
    ),
    Column(
        "bulk_min", "double", "eigenvalue", "lower bulk edge s2 N (1 - sqrt(M/N))^2, s2 = (sigma_mp sigma_entries)^2"
    ),
    Column("bulk_max", "double", "eigenvalue", "upper bulk edge s2 N (1 + sqrt(M/N))^2"),
    Column(
        "spike_edge",
        "double",
        "eigenvalue",
        "upper bulk edge with its Tracy-Widom width at the stated false-alarm rate",
    ),
    Column("num_spikes", "bigint", "count", "eigenvalues above spike_edge, all slices pooled"),
    Column("slice_num_spikes", "bigint", "count", "eigenvalues above the spike edge of their own slice's bulk fit"),
    Column(
        "mp_softrank", "double", "1", "bulk_max / lam_max; 1 or a little more for noise, small for strong correlations"
    ),
    Column("mp_D", "double", "1", "Kolmogorov-Smirnov distance of the bulk from the fitted law, in [0, 1]"),
)


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`; None where there is no bulk (K < 2, all zero, or half of the spectrum zero).

    Options: tail, the chance that a noise layer shows any spike (default 0.01).
    """
    tail = float(METHOD.options(options)["tail"])
    row: dict[str, Value] = {column.name: None for column in COLUMNS}
    if esd.evals.size == 0 or not esd.evals[-1] > 0.0:
        return row
    S = len(esd.slices)
    entries2 = sigma2_of_entries(esd.evals, esd.N)
    row["sigma_entries"] = float(np.sqrt(entries2))
    bulk = fit_bulk(esd.evals, esd.N, esd.M, S, tail)
    if bulk is None:
        return row
    by_slice = [fit_bulk(evals, esd.N, esd.M, 1, tail / S) for evals in esd.slices] if S > 1 else [bulk]
    return row | {
        "sigma_mp": float(np.sqrt(bulk.sigma2 / entries2)),
        "bulk_min": bulk.bulk_min,
        "bulk_max": bulk.bulk_max,
        "spike_edge": bulk.spike_edge,
        "num_spikes": bulk.num_spikes,
        "slice_num_spikes": sum(single.num_spikes for single in by_slice if single is not None),
        "mp_softrank": bulk.bulk_max / float(esd.evals[-1]),
        "mp_D": bulk.D,
    }


METHOD = Method(
    name="marchenko_pastur",
    columns=COLUMNS,
    citation="Marchenko and Pastur 1967; Johnstone 2001; Martin and Mahoney 2021, JMLR 22(165)",
    needs=("spectrum",),
    cost="0.3 ms",
    run=run,
    defaults={"tail": TAIL},
)
