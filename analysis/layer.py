"""One layer under one profile: from its raw spectrum to rows of numbers.

A pooled profile gives one row; a profile that works by slice gives one row a slice and one row for the layer: means
over the slices that have the value, sums of counts. Not covered: anything across layers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from zoospectra.analysis.methods import method
from zoospectra.analysis.powerlaw import fit_powerlaw
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import Column, Esd, Fit, FloatArray, Method, Outcome, Spectrum, Status, Value
from zoospectra.analysis.rounding import resolution, resolved

Row = Mapping[str, Value]

# Statuses of layers that a profile's filters leave out.
TOO_FEW_EVALS = "skipped: fewer eigenvalues than the profile's min_evals, no fit"
TOO_SMALL = "skipped: smaller side below the profile's min_M, spectral norm only"
# All that is kept of a matrix below min_M.
SPECTRAL = ("spectral_norm", "log_spectral_norm")
# WeightWatcher's advice on alpha.
OVER_TRAINED, UNDER_TRAINED = 2.0, 6.0

SHAPE_COLUMNS = (
    Column("N", "bigint", "count", "larger side of a matrix of the layer"),
    Column("M", "bigint", "count", "smaller side of a matrix of the layer"),
    Column("Q", "double", "1", "aspect ratio N / M, at least 1"),
    Column("rf", "bigint", "count", "receptive field: number of slices of the layer"),
    Column("num_evals", "bigint", "count", "number of eigenvalues; of a low-rank update its rank"),
)
FIT_COLUMNS = (
    Column("alpha", "double", "1", "exponent of the power law fitted to the tail, rho(lam) ~ lam^-alpha"),
    Column("D", "double", "1", "Kolmogorov-Smirnov distance between tail and fitted law, 0 to 1"),
    Column("sigma", "double", "1", "standard error of alpha, (alpha - 1) / sqrt(n_tail)"),
    Column("xmin", "double", "eigenvalue", "start of the fitted tail"),
    Column("xmax", "double", "eigenvalue", "largest eigenvalue of the fitted data"),
    Column("num_pl_spikes", "bigint", "count", "number of eigenvalues lam >= xmin"),
)
STATUS_COLUMNS = (
    Column("outcome", "varchar", "text", "'fit', 'failed', or 'filtered' by the profile's min_evals or min_M"),
    Column("filtered_by", "varchar", "text", "the profile's filter that left it out: 'min_evals' or 'min_M'"),
    Column("status", "varchar", "text", "'success', or why there is no fit"),
    Column(
        "degenerate_tail",
        "boolean",
        "boolean",
        "whether (xmax - xmin) / xmax is below 8 eps of the stored type: alpha is rounding, and kept by faithful "
        "profiles only; NULL where nothing was fitted; of slices: any",
    ),
    Column("warning", "varchar", "text", "'over-trained' (alpha < 2), 'under-trained' (alpha > 6), or nothing"),
    Column("left_out", "varchar", "text", "the profile's left_out: what its means leave out, separated by ', '"),
)


@dataclass(frozen=True, slots=True)
class LayerAnalysis:
    """Rows of one layer under one profile."""

    layer: Row
    """The layer's row: a value or None for every column."""
    slices: tuple[Row, ...]
    """One row a slice, with slice_id; empty for pooled profiles."""
    columns: tuple[Column, ...]
    """Names, types and units of the values (slice_id aside)."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What every row of a profile has in common."""

    columns: tuple[Column, ...]
    """Every column, in order."""
    empty: Row
    """A row without values."""
    methods: tuple[tuple[Method, Mapping[str, Any]], ...]
    """Metrics with their options."""
    left_out: str
    """Value of the column of that name."""


@lru_cache(maxsize=256)
def _plan(profile: Profile) -> _Plan:
    methods = tuple((method(name), profile.options.get(name, {})) for name in profile.methods)
    metrics = tuple(column for each, _ in methods for column in each.columns)
    known = SHAPE_COLUMNS + FIT_COLUMNS + metrics + STATUS_COLUMNS
    return _Plan(known, dict.fromkeys(column.name for column in known), methods, ", ".join(profile.left_out))


def columns(profile: Profile) -> tuple[Column, ...]:
    """Every column of a profile's rows, in order."""
    return _plan(profile).columns


def analyse_layer(
    spectrum: Spectrum,
    layer_type: str,
    profile: Profile,
    *,
    dtype: str = "float32",
    shuffled: Sequence[Spectrum] = (),
    seed: int = 0,
) -> LayerAnalysis:
    """All metrics of one layer, from its raw spectrum under the profile's unfold rule.

    `dtype` is what the weights are stored as: it says how narrow a tail can be. `shuffled` holds the spectra of
    element-wise shuffled copies (the same shape), for methods that need them; `seed` comes from the layer's content.
    Equivalent, for the default profile, to one row of
    `weightwatcher.WeightWatcher(...).analyze()`.
    """
    K = spectrum.evals.shape[1]
    plan = _plan(profile)
    made = esds(spectrum, layer_type, profile, dtype=dtype, shuffled=shuffled, seed=seed)
    rows = [_row(esd, profile, plan, K * len(esd.slices)) for esd in made]
    if profile.pool:
        return LayerAnalysis(rows[0], (), plan.columns)
    slices = tuple({"slice_id": index} | row for index, row in enumerate(rows))
    return LayerAnalysis(_compound(rows, plan.columns), slices, plan.columns)


def esds(
    spectrum: Spectrum,
    layer_type: str,
    profile: Profile,
    *,
    dtype: str = "float32",
    shuffled: Sequence[Spectrum] = (),
    seed: int = 0,
) -> list[Esd]:
    """The ESDs that a profile makes of a raw spectrum: one of all slices, or one a slice where it does not pool.

    Arguments as of `analyse_layer`.
    """
    (S, held), M = spectrum.evals.shape, spectrum.M
    # An update of rank r comes with r eigenvalues: the M - r zeros belong to the matrix, and are no data of a fit.
    whole = replace(spectrum, evals=np.pad(spectrum.evals, ((0, 0), (M - held, 0)))) if held < M else spectrum
    factor = profile.factor(layer_type, spectrum.N, S)
    scaled, *copies = (resolved(raw) * factor for raw in (whole, *shuffled))
    together = [slice(None)] if profile.pool else [slice(index, index + 1) for index in range(S)]
    made = []
    for part in together:
        evals = scaled[part].flatten()
        evals.sort()
        copied = tuple(copy[part] for copy in copies)
        made.append(Esd(evals, fitted(evals, profile), scaled[part], spectrum.N, M, S, copied, seed, resolution(dtype)))
    return made


def fitted(evals: FloatArray, profile: Profile) -> FloatArray:
    """Those of the scaled eigenvalues (K,), ascending, that the profile lets through to a fit: (K',), positive."""
    limit = profile.threshold * (evals[-1] if profile.threshold_relative else 1.0)
    return evals[max(int(evals.searchsorted(limit, side="right")), profile.drop_smallest) :]


def _row(esd: Esd, profile: Profile, plan: _Plan, K: int) -> dict[str, Value]:
    """One row: shape, fit, metrics, status; K eigenvalues can differ from zero."""
    row = dict(plan.empty)
    row |= {"N": esd.N, "M": esd.M, "Q": esd.N / esd.M, "rf": esd.rf, "num_evals": K}
    too_few, small = profile.min_evals > K, profile.min_M > esd.M
    fit = Fit(status=Status.TOO_FEW) if too_few or small else _fit(esd, profile)
    degenerate = is_degenerate(fit, esd.resolution)
    if degenerate and not profile.faithful:
        fit = Fit(status=Status.DEGENERATE)
    metrics: dict[str, Value] = {}
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows becomes None below
        for each, options in plan.methods:
            if fit.status is not Status.DEGENERATE or "tail" not in each.needs:
                metrics |= each.run(esd, fit, options)
    row |= {name: _finite(value) for name, value in metrics.items() if not small or name in SPECTRAL}
    if fit.xmin is not None:
        row |= {"alpha": _finite(fit.alpha), "D": _finite(fit.D), "sigma": _finite(fit.sigma)}
        row |= {"xmin": _finite(fit.xmin), "xmax": _finite(fit.xmax)}
        row["num_pl_spikes"] = len(esd.evals) - int(esd.evals.searchsorted(fit.xmin))
    outcome = Outcome.FILTERED if too_few or small else Outcome.FAILED if row["alpha"] is None else Outcome.FIT
    row["outcome"] = outcome.value
    row["filtered_by"] = "min_evals" if too_few else "min_M" if small else None
    row["status"] = TOO_FEW_EVALS if too_few else TOO_SMALL if small else fit.status.value
    row["degenerate_tail"], row["warning"], row["left_out"] = degenerate, _warning(fit.alpha), plan.left_out
    return row


def _fit(esd: Esd, profile: Profile) -> Fit:
    if not esd.evals[-1] > 0.0:
        return Fit(status=Status.ZERO)
    return fit_powerlaw(esd.fitted, profile.fit, **profile.options.get("fit", {}))


def is_degenerate(fit: Fit, narrowest: float) -> bool | None:
    """Whether the tail spans less than the share `narrowest` of xmax; None where there was nothing to fit."""
    if fit.xmin is None or fit.xmax is None:
        return True if fit.status is Status.DEGENERATE else None
    return fit.xmax - fit.xmin < narrowest * fit.xmax


def _finite(value: Value) -> Value:
    """The value, or None where float64 overflowed: results hold no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _warning(alpha: float | None) -> str | None:
    if alpha is None:
        return None
    return "over-trained" if alpha < OVER_TRAINED else "under-trained" if alpha > UNDER_TRAINED else None


def _compound(rows: Sequence[Row], known: Sequence[Column]) -> dict[str, Value]:
    """The layer's row from its slices': means of numbers, sums of counts, words that all slices share."""
    layer: dict[str, Value] = {}
    for column in known:
        values = [row[column.name] for row in rows if row[column.name] is not None]
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        if column.name in ("N", "M", "rf"):
            layer[column.name] = rows[0][column.name]
        elif not values:
            layer[column.name] = None
        elif column.type == "double":
            layer[column.name] = math.fsum(numbers) / len(numbers)
        elif column.type == "bigint":
            layer[column.name] = int(sum(numbers))
        elif column.type == "boolean":
            layer[column.name] = any(values)
        else:
            layer[column.name] = values[0] if len(set(values)) == 1 else None
    fits = [row for row in rows if row["outcome"] == Outcome.FIT]
    example = [*fits, *(row for row in rows if row["degenerate_tail"]), rows[0]][0]  # slices are filtered all or none
    layer |= {"outcome": example["outcome"], "status": example["status"]}
    alpha = layer["alpha"]
    layer["warning"] = _warning(alpha if isinstance(alpha, float) else None)
    return layer
