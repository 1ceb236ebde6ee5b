"""The numbers of a layer's figures: its ESD with the fitted law and the noise, and every candidate xmin with its D.

Each function gives rows of plain values, one a fit, a candidate or an eigenvalue. `of` tells the layer from its
shuffled copies, `slice_id` the slices of a profile that does not pool them. Equations: the power law rho(lam) =
n/K (alpha - 1) / xmin (lam / xmin)^-alpha of the n of K eigenvalues in the tail; the law of Marchenko and Pastur with
the bulk's variance (analysis.marchenko_pastur), times the share of eigenvalues that are no spikes. Both integrate to
their share of the ESD, so that they can be drawn over its histogram.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from zoospectra.analysis.layer import LayerAnalysis, Row
from zoospectra.analysis.marchenko_pastur import Bulk, cdf, density, fit_bulk
from zoospectra.analysis.powerlaw import curve
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import Esd, FloatArray, Value

LAYER = "layer"
"""What `of` says of the layer itself."""
FITTED = ("num_evals", "alpha", "xmin", "xmax", "D", "sigma", "num_pl_spikes", "status")
"""Columns of the metrics that the fit's row repeats."""


def fit_rows(esds: Sequence[Esd], analysis: LayerAnalysis) -> Iterator[dict[str, Value]]:
    """One row an ESD and one a shuffled copy: shape, fit (the layer's only), largest eigenvalue, edges of the bulk."""
    for slice_id, esd, row in _numbered(esds, analysis):
        for of, evals in _spectra(esd):
            bulk = fit_bulk(evals, esd.N, esd.M, len(esd.slices))
            fit: dict[str, Value] = {name: row[name] if of == LAYER else None for name in FITTED}
            yield {
                **_base(slice_id, of),
                "N": esd.N,
                "M": esd.M,
                "rf": esd.rf,
                **fit,
                "num_evals": len(evals),
                "lambda_max": float(evals[-1]),
                "bulk_sigma": None if bulk is None else float(np.sqrt(bulk.sigma2)),
                "bulk_min": None if bulk is None else bulk.bulk_min,
                "bulk_max": None if bulk is None else bulk.bulk_max,
                "spike_edge": None if bulk is None else bulk.spike_edge,
                "num_spikes": None if bulk is None else bulk.num_spikes,
            }


def curve_rows(esds: Sequence[Esd], analysis: LayerAnalysis, profile: Profile) -> Iterator[dict[str, Value]]:
    """One row a candidate xmin, ascending: exponent, Kolmogorov-Smirnov distance, tail, and whether it was chosen."""
    for slice_id, esd, row in _numbered(esds, analysis):
        every = curve(esd.fitted, profile.fit, **profile.options.get("fit", {}))
        for xmin, alpha, distance, n in zip(every.xmin, every.alpha, every.D, every.n_tail, strict=True):
            yield {
                **_base(slice_id, LAYER),
                "xmin": float(xmin),
                "alpha": float(alpha),
                "D": float(distance),
                "n_tail": int(n),
                "chosen": bool(xmin == row["xmin"]),
            }


def esd_rows(esds: Sequence[Esd], analysis: LayerAnalysis) -> Iterator[dict[str, Value]]:
    """One row an eigenvalue, ascending: share of eigenvalues at or above it, fitted law, noise."""
    for slice_id, esd, row in _numbered(esds, analysis):
        for of, evals in _spectra(esd):
            K = len(evals)
            bulk = fit_bulk(evals, esd.N, esd.M, len(esd.slices))
            columns: dict[str, Sequence[float | None]] = {"share_above": (np.arange(K, 0, -1) / K).tolist()}
            columns |= _tail(evals, row if of == LAYER else {}) | _noise(evals, esd, bulk)
            for i, value in enumerate(evals):
                yield {**_base(slice_id, of), "eigenvalue": float(value)} | {k: v[i] for k, v in columns.items()}


def _numbered(esds: Sequence[Esd], analysis: LayerAnalysis) -> Iterator[tuple[int | None, Esd, Row]]:
    """slice_id (None for a pooled ESD), ESD, and the row of its metrics."""
    rows = analysis.slices or (analysis.layer,)
    for i, (esd, row) in enumerate(zip(esds, rows, strict=True)):
        yield (i if analysis.slices else None), esd, row


def _base(slice_id: int | None, of: str) -> dict[str, Value]:
    return {"slice_id": slice_id, "of": of}


def _spectra(esd: Esd) -> Iterator[tuple[str, FloatArray]]:
    yield LAYER, esd.evals
    for i, copy in enumerate(esd.shuffled):
        yield f"shuffled {i}", np.sort(copy, axis=None)


def _tail(evals: FloatArray, row: Row) -> dict[str, list[float | None]]:
    """Density and share above of the fitted law; None below xmin, and without a fit."""
    alpha, xmin, K = row.get("alpha"), row.get("xmin"), len(evals)
    if not isinstance(alpha, float) or not isinstance(xmin, float):
        return {"power_law_density": [None] * K, "power_law_share_above": [None] * K}
    below = int(np.count_nonzero(evals < xmin))
    ratio, share = evals[below:] / xmin, (K - below) / K
    return {
        "power_law_density": [None] * below + (share * (alpha - 1.0) / xmin * ratio**-alpha).tolist(),
        "power_law_share_above": [None] * below + (share * ratio ** (1.0 - alpha)).tolist(),
    }


def _noise(evals: FloatArray, esd: Esd, bulk: Bulk | None) -> dict[str, list[float | None]]:
    """Density and share above of the noise; spikes lie above all of it."""
    K = len(evals)
    if bulk is None:
        return {"noise_density": [None] * K, "noise_share_above": [None] * K}
    scale, y, share = bulk.sigma2 * esd.N, esd.M / esd.N, 1.0 - bulk.num_spikes / K
    return {
        "noise_density": (share * density(evals / scale, y) / scale).tolist(),
        "noise_share_above": (1.0 - share * cdf(evals / scale, y)).tolist(),
    }
