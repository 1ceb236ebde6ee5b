"""The reference population of the check of quality: means of real networks, bundled, and where a model stands in it.

`networks.csv` beside this file is made by `python -m zoospectra.jobs.checks.make_networks FOLDER ...` from networks
that anyone can fetch; it is small, and every percentile says of how many networks it is.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import prod
from pathlib import Path

import numpy as np

from zoospectra.analysis.layer import Row
from zoospectra.analysis.records import Outcome
from zoospectra.zoo.layers.layer import Layer

METRICS = ("alpha", "alpha_weighted", "log_alpha_norm", "log_norm", "log_spectral_norm", "stable_rank", "D")
"""Means over layers that are compared."""
ENOUGH = 8
"""Networks of a kind and size from which a percentile is of these; below, of all of the kind, then of all."""
TIMES = 10.0
"""Networks whose numbers of parameters are within this factor are of one size."""
MADE = "2026-11-25"
"""When networks.csv was made."""


@dataclass(frozen=True, slots=True)
class Network:
    """One network, by its means."""

    name: str
    """What it is."""
    kind: str
    """'convolutional', 'transformer', 'recurrent' or 'dense', by its layers."""
    params: int
    """Entries of its layers."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Mean of each of METRICS over its layers; those without a value are missing."""


def network(name: str, layers: Sequence[Layer], rows: Sequence[Row | None]) -> Network:
    """The means of a network as the warehouse takes them: no embeddings, no parts, no failed or degenerate fits."""
    counted = [
        row
        for layer, row in zip(layers, rows, strict=True)
        if row and layer.layer_type != "embedding" and row["outcome"] == Outcome.FIT and not row["degenerate_tail"]
    ]
    values = {}
    for metric in METRICS:
        known = [float(value) for row in counted if isinstance(value := row[metric], int | float)]
        if known:
            values[metric] = float(np.mean(known))
    return Network(name, kind_of(layers), sum(prod(layer.shape) for layer in layers), values)


def kind_of(layers: Sequence[Layer]) -> str:
    """Kind of a network: by attention, then gates, then convolutions among its layers."""
    roles = {layer.group for layer in layers}
    names = " ".join(layer.longname.lower() for layer in layers)
    if {"q", "k", "v"} <= roles or "attn" in names or "attention" in names:
        return "transformer"
    if any(word in names for word in ("lstm", "gru", "rnn", "_gate")):
        return "recurrent"
    convolutions = sum(layer.layer_type.startswith(("conv", "depthwise")) for layer in layers)
    return "convolutional" if 2 * convolutions >= len(layers) > 0 else "dense"


@cache
def networks() -> tuple[Network, ...]:
    """The bundled networks."""
    text = Path(__file__).with_name("networks.csv").read_text(encoding="utf-8")
    return tuple(
        Network(row["name"], row["kind"], int(row["params"]), {m: float(row[m]) for m in METRICS if row[m]})
        for row in csv.DictReader(text.splitlines())
    )


def alike(own: Network, known: Sequence[Network]) -> tuple[list[Network], str]:
    """Networks that a network is compared with, and what they are called."""
    kind = [other for other in known if other.kind == own.kind]
    size = [other for other in kind if 1 / TIMES <= other.params / max(own.params, 1) <= TIMES]
    if len(size) >= ENOUGH:
        return size, f"{own.kind} networks of about its size"
    if len(kind) >= ENOUGH:
        return kind, f"{own.kind} networks of any size"
    return list(known), "networks of any kind and size"


def standing(own: Network) -> tuple[tuple[tuple[object, ...], ...], str]:
    """Rows (metric, mean, percentile, median, lowest, highest) of the population, and a title that says what it is.

    The percentile counts half of what is equal (Roscoe 1975), in whole numbers.
    """
    others, what = alike(own, networks())
    rows = []
    for metric, value in own.values.items():
        known = np.array([other.values[metric] for other in others if metric in other.values])
        if known.size:
            below = np.count_nonzero(known < value) + 0.5 * np.count_nonzero(known == value)
            spread = (float(np.median(known)), float(known.min()), float(known.max()))
            rows.append((metric, value, round(100 * below / known.size), *spread))
    return tuple(rows), f"against {len(others)} {what} (bundled, {MADE}; a small sample)"
