"""Made-up layers for health and collapse, and what is usual among them, by numpy."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

BOUNDS = {"alpha": (6.0, 2.0), "D": (0.2,), "num_pl_spikes": (10,), "stable_rank": (1.5,)}
"""Thresholds that some values lie on exactly."""


def layers(models: int, seed: int) -> list[dict]:
    """Two profiles; 4 dense layers a model, 3 to 6 convolutions; a third of the numbers at a bound, some missing."""
    rng = np.random.default_rng(seed)
    rows = []
    for profile, model in ((p, m) for p in ("p", "q") for m in range(models)):
        kinds = [("dense", 1)] * 4 + [("conv2d", 9)] * int(rng.integers(3, 7)) + [(None, None)]
        for i, (kind, rf) in enumerate(kinds):
            row = {"profile": profile, "model_id": f"m{model}", "longname": f"l{i}", "layer_type": kind, "rf": rf}
            row |= {"N": 64 + i, "M": 32, "num_evals": 32, "outcome": "fit", "status": "success"}
            row |= {"alpha": rng.uniform(1.5, 8), "D": rng.uniform(0, 0.4), "num_pl_spikes": int(rng.integers(5, 30))}
            row |= {"stable_rank": rng.uniform(1, 9), "log_spectral_norm": rng.normal(0, 0.2)}
            row |= {"max_rand_eval": rng.choice([None, 1.0]), "by_slice": profile == "q", "log_norm": rng.normal()}
            if rng.random() < 0.1:
                row["log_spectral_norm"] += 4.0 * rng.choice([-1, 1])
            for name, bounds in BOUNDS.items():
                if rng.random() < 0.3:
                    row[name] = bounds[rng.integers(len(bounds))]
                elif rng.random() < 0.1:
                    row[name] = None
            if rng.random() < 0.1 or model == 2:
                row |= {"outcome": "failed", "status": f"failed: {i}"}
            rows.append(row)
    return rows


def scale(row: dict) -> float | None:
    """log10 of the root mean square entry: lam_max times the stable rank is the sum of squares."""
    if row["stable_rank"] is None:
        return None
    return math.log10(math.sqrt(10 ** row["log_spectral_norm"] * row["stable_rank"] / (row["num_evals"] * row["N"])))


def excess(row: dict) -> float | None:
    if scale(row) is None:
        return None
    if row["max_rand_eval"]:
        return math.log10(10 ** row["log_spectral_norm"] / row["max_rand_eval"])
    slices = (row["rf"] or 1) if row["by_slice"] else 1
    edge = slices * 10 ** (2 * scale(row)) * (math.sqrt(row["N"]) + math.sqrt(row["M"])) ** 2
    return row["log_spectral_norm"] - math.log10(edge)


def of_kind(row: dict) -> tuple:
    return row["profile"], row["layer_type"], row["rf"]


def z_scores(rows: list[dict]) -> dict[tuple, float]:
    """(model, layer) -> robust z among the layers of its kind in its model, where these are at least five."""
    kinds = defaultdict(list)
    for row in rows:
        if scale(row) is not None:
            kinds[of_kind(row), row["model_id"]].append(row)
    found = {}
    for members in kinds.values():
        values = np.array([scale(row) for row in members])
        spread = 1.4826 * np.median(np.abs(values - np.median(values)))
        if len(members) >= 5:
            found |= {(r["model_id"], r["longname"]): (scale(r) - np.median(values)) / spread for r in members}
    return found
