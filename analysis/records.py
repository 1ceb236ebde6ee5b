"""The records that analysis passes on: one layer's spectrum, the ESD a profile makes of it, and its fit.

Legend: W is N x M with N >= M; S is the number of slices (matrices) of a layer; K the number of eigenvalues of an ESD;
lam the eigenvalues of X = W^T W, that is the squared singular values of W, always float64 and ascending.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Value = float | int | str | bool | None


class Status(StrEnum):
    """How the power-law fit of one ESD ended; numerical failure is data, never an exception."""

    SUCCESS = "success"
    TOO_FEW = "failed: too few eigenvalues above the threshold"
    ZERO = "failed: every eigenvalue is zero"
    DEGENERATE = "degenerate_tail"
    """The tail is narrower than rounding of the stored weights: its values are equal as far as anyone can tell."""


class Outcome(StrEnum):
    """What came of one layer under one profile, for programs; the row's status says it in words."""

    FIT = "fit"
    """A power law was fitted: alpha is there."""
    FAILED = "failed"
    """The spectrum has no tail to fit."""
    FILTERED = "filtered"
    """The profile's filters, min_evals and min_M, left the layer without a fit."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Raw spectrum of one layer under one unfold rule."""

    evals: FloatArray
    """(S, M), ascending along the last axis: eigenvalues of W^T W, one row a slice, unscaled."""
    N: int
    """Larger side of every slice."""
    M: int
    """Smaller side of every slice."""
    method: str
    """'gram' (float64 Gram matrix, eigenvalues), 'svd' (float64 singular values, at least of what that does not
    resolve), 'gram+svd' (some slices each)."""
    device: str
    """Where: 'cpu' or a torch device name."""


@dataclass(frozen=True, slots=True)
class Esd:
    """One empirical spectral density as a profile sees it: scaled and pooled."""

    evals: FloatArray
    """(K,), ascending: the scaled eigenvalues of all pooled slices; those that are rounding of 0 are 0."""
    fitted: FloatArray
    """(K',), ascending, positive: those that the profile lets through to a fit (its threshold and drop_smallest)."""
    slices: FloatArray
    """(S, M): the same eigenvalues by slice."""
    N: int
    """Larger side of a slice."""
    M: int
    """Smaller side of a slice."""
    rf: int
    """Receptive field: number of slices of the layer (1 for dense layers)."""
    shuffled: tuple[FloatArray, ...] = ()
    """Scaled eigenvalues (S, M) of element-wise shuffled copies of the layer, one array a replica; may be empty."""
    seed: int = 0
    """Seed derived from the layer's content hash: everything random about this layer starts from it."""
    resolution: float = 2.0**-20
    """Share of xmax that a tail must span, see analysis.rounding.resolution; here that of float32."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Power-law fit of the tail of one ESD; every number is None when the fit failed."""

    status: Status
    """SUCCESS or the reason why there is no fit."""
    alpha: float | None = None
    """Exponent of the density rho(lam) ~ lam^-alpha, lam >= xmin."""
    xmin: float | None = None
    """Start of the tail, an eigenvalue."""
    xmax: float | None = None
    """Largest eigenvalue of the data that was fitted."""
    D: float | None = None
    """Kolmogorov-Smirnov distance of the tail from the fitted law, in [0, 1]."""
    sigma: float | None = None
    """Standard error of alpha, (alpha - 1) / sqrt(n_tail)."""
    n_tail: int | None = None
    """Number of eigenvalues in the fitted tail (from the index of xmin to the end)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column that a method adds to layer_metrics."""

    name: str
    """Column name, as users of WeightWatcher and the papers know it."""
    type: str
    """'double', 'bigint', 'varchar' or 'boolean'."""
    unit: str
    """Unit or scale, e.g. '1', 'log10', 'count', 'eigenvalue'."""
    doc: str
    """One line: what it is, with its formula."""


@dataclass(frozen=True, slots=True)
class Method:
    """One family of per-layer metrics: a pure function of an ESD and its fit."""

    name: str
    """How a profile asks for it in conf."""
    columns: tuple[Column, ...]
    """What it returns, exactly these keys."""
    citation: str
    """Where the definition comes from."""
    needs: tuple[str, ...]
    """What it looks at: 'spectrum', 'fit', 'shuffled'; with 'tail' it has no value where the tail is degenerate."""
    cost: str
    """Rough time for K = 768 on one core, e.g. '1 ms'."""
    run: Callable[[Esd, Fit, Mapping[str, Any]], dict[str, Value]]
    """(esd, fit, options) -> a value or None for every column; numerical trouble is None, never an exception or NaN."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Options that a profile may set, with the values they have otherwise."""

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The defaults with the given options in their place. Raises ValueError for an option that has no default."""
        if unknown := sorted(given.keys() - self.defaults.keys()) if given else ():
            known = ", ".join(sorted(self.defaults)) or "none"
            msg = f"unknown options {unknown} of method {self.name!r}; known options: {known}"
            raise ValueError(msg)
        return {**self.defaults, **given}
