"""A slope whose error knows that models of one family are not independent: cluster-robust, with its own freedom.

Families differ in size, from one model to dozens, and few decide the line: the plain sandwich (CR1) then calls too many
effects. So the error is Bell and McCaffrey's (2002, Survey Methodology 28:169): residuals of every cluster corrected by
(I - H_gg)^(-1/2) (CR2), with Satterthwaite's degrees of freedom where errors correlate within clusters as the residuals
do (Imbens and Kolesar 2016, Review of Economics and Statistics 98:701). Not covered: two ways of clustering.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.regression import CONSTANT, is_rounding
from zoospectra.analysis.statistics.sample import degenerate, sample


@dataclass(frozen=True, slots=True)
class Clustered:
    """y = intercept + slope * x, errors correlated within clusters in whatever way."""

    n: int
    """Points."""
    clusters: int
    """Clusters."""
    effective: float | None = None
    """Independent points that n are worth: n / (1 + (mean size seen by a point - 1) rho), rho that of the residuals."""
    slope: float | None = None
    """Unit of y over unit of x."""
    slope_se: float | None = None
    """Its standard error, CR2."""
    plain_se: float | None = None
    """Its standard error, CR1: what statsmodels calls cov_type='cluster'."""
    freedom: float | None = None
    """Degrees of freedom of the error."""
    low: float | None = None
    """Lower end of the slope's 95 % confidence interval."""
    high: float | None = None
    """Upper end."""
    p: float | None = None
    """Two-sided p-value of slope = 0."""
    reason: str | None = None
    """Why numbers are missing."""


def clustered(x: Sequence[float | None], y: Sequence[float | None], clusters: Sequence[Hashable]) -> Clustered:
    """Least squares of y on x with cluster-robust errors; pairs in which either is None are left out.

    plain_se is that of `statsmodels.OLS(y, [1, x]).fit(cov_type='cluster', cov_kwds={'groups': clusters})`.
    """
    points = sample(x, y, clusters)
    count = len(points.names)
    if why := degenerate(points, 4):
        return Clustered(points.n, count, reason=why)
    if count < 3:
        return Clustered(points.n, count, reason=f"{count} families, at least 3 are needed")
    unit_x, unit_y = float(np.ptp(points.x)), float(np.ptp(points.y))
    dx, dy = (points.x - points.x.mean()) / unit_x, (points.y - points.y.mean()) / unit_y
    inverse = 1.0 / float(dx @ dx)
    slope = float(dx @ dy) * inverse
    residual = dy - slope * dx
    if is_rounding(residual):
        return Clustered(points.n, count, reason="the line explains everything")
    members = [np.flatnonzero(points.group == number) for number in range(count)]
    plain = sum(float(dx[own] @ residual[own]) ** 2 for own in members) * inverse**2
    plain *= count / (count - 1) * (points.n - 1) / (points.n - 2)
    weights = _weights(dx, inverse, members)
    variance = sum(float(w @ residual[own]) ** 2 for w, own in zip(weights, members, strict=True))
    rho = _intraclass(residual, members)
    freedom = _freedom(weights, dx, inverse, members, rho)
    sizes = np.array([len(own) for own in members], dtype=np.float64)
    error, unit = float(np.sqrt(variance)), unit_y / unit_x
    half = -float(special.stdtrit(freedom, 0.025)) * error
    return Clustered(
        n=points.n,
        clusters=count,
        effective=points.n / (1.0 + (float(sizes @ sizes) / points.n - 1.0) * rho),
        slope=unit * slope,
        slope_se=unit * error,
        plain_se=unit * float(np.sqrt(plain)),
        freedom=freedom,
        low=unit * (slope - half),
        high=unit * (slope + half),
        p=float(2.0 * special.stdtr(freedom, -abs(slope) / error)),
    )


def _weights(dx: FloatArray, inverse: float, members: Sequence[np.ndarray]) -> list[FloatArray]:
    """For every cluster a, its row of the estimator: dx_g' (I - H_gg)^(-1/2) / dx'dx; the constant is in H too."""
    n = len(dx)
    weights = []
    for own in members:
        hat = np.outer(dx[own], dx[own]) * inverse + 1.0 / n
        values, vectors = np.linalg.eigh(np.eye(len(own)) - hat)
        free = values > CONSTANT  # else a direction that the line takes whole
        vectors = vectors[:, free]
        weights.append(inverse * ((vectors / np.sqrt(values[free])) @ (vectors.T @ dx[own])))
    return weights


def _freedom(
    weights: Sequence[FloatArray], dx: FloatArray, inverse: float, members: Sequence[np.ndarray], rho: float
) -> float:
    """Satterthwaite: 2 E^2 / Var of the variance's estimate, for errors that correlate by rho within clusters.

    The estimate is e' G G' e with columns g_a = (I - H)[:, a] w_a, so its moments are traces of G' Omega G.
    """
    n, count = len(dx), len(members)
    G = np.zeros((n, count))
    for number, (w, own) in enumerate(zip(weights, members, strict=True)):
        G[:, number] = -float(w.sum()) / n - dx * (float(w @ dx[own]) * inverse)
        G[own, number] += w
    sums = np.stack([G[own].sum(axis=0) for own in members])
    gram = (1.0 - rho) * (G.T @ G) + rho * (sums.T @ sums)
    return float(np.trace(gram) ** 2 / np.sum(gram**2))


def _intraclass(residual: FloatArray, members: Sequence[np.ndarray]) -> float:
    """Correlation of residuals within clusters, by analysis of variance, at least 0; 0 where no cluster has two.

    The mean of all residuals is 0.
    """
    n, count = len(residual), len(members)
    if count == n:
        return 0.0
    sizes = np.array([len(own) for own in members], dtype=np.float64)
    means = np.array([float(residual[own].mean()) for own in members])
    between = float(sizes @ means**2) / (count - 1)
    within = sum(float(((residual[own] - mean) ** 2).sum()) for own, mean in zip(members, means, strict=True))
    within /= n - count
    typical = (n - float(sizes @ sizes) / n) / (count - 1)
    total = between + (typical - 1.0) * within
    return max(0.0, (between - within) / total)
