"""A warehouse of any size, written as scans leave it: a part of layers and one of metrics for every model.

Parts are written without fsync, for speed; everything else is as the writer does it.
"""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from zoospectra.warehouse.conform import conform
from zoospectra.warehouse.parts import part_path
from zoospectra.warehouse.schema import PARTS, WRITTEN, field

DEPTH = field("depth", pa.int64(), "count", "Depth of the network")
NOW = pa.scalar(datetime.datetime(2026, 11, 1), WRITTEN.type)
SERIES = 250


def write_part(directory: Path, kind: str, key: str, table: pa.Table, model: str | None = None) -> None:
    path = part_path(directory, kind, key, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = conform(kind, table)
    pq.write_table(table.append_column(WRITTEN, pa.repeat(NOW, len(table))), path, compression="zstd")


def populate(directory: Path, models: int, layers: int) -> None:
    """`models` models of `layers` layers each, in SERIES series, with a reported accuracy."""
    rng = np.random.default_rng(0)
    catalog, reported = [], []
    for i in range(models):
        name, depth = f"synthetic/net{i:05d}", i % 10
        base = {"snapshot": "s", "model_id": name, "revision": "r"}
        catalog.append(base | {"zoo": "synthetic", "name": name, "series": f"series-{i % SERIES}", "depth": depth})
        accuracy = 60 + 2 * depth + float(rng.normal())
        row = base | {"dataset": "d", "metric": "test_accuracy", "value": accuracy}
        reported.append(row | {"higher_is_better": True, "source": "synthetic"})
        catalog[-1]["dataset"] = "d"
        alphas = rng.normal(3 + 0.1 * depth, 0.5, layers)
        write_part(directory, "layers", "k", _layers(name, layers), name)
        write_part(directory, "layer_metrics", "k", _metrics(name, alphas, rng.normal(size=layers)), name)
    write_part(directory, "models", "s", pa.Table.from_pylist(catalog, pa.schema([*PARTS["models"], DEPTH])))
    write_part(directory, "reported_metrics", "s", pa.Table.from_pylist(reported, PARTS["reported_metrics"]))


def _layers(name: str, count: int) -> pa.Table:
    columns = {
        "model_id": [name] * count,
        "revision": ["r"] * count,
        "layer_id": list(range(count)),
        "longname": [f"block.{i}" for i in range(count)],
        "tensor": [f"block.{i}.weight" for i in range(count)],
        "layer_type": ["dense"] * count,
        "N": [256] * count,
        "M": [128] * count,
        "Q": [2.0] * count,
        "rf": [1] * count,
        "shape": [[256, 128]] * count,
        "dtype": ["float32"] * count,
        "params": [32768] * count,
        "content_hash": [f"{name} {i}" for i in range(count)],
    }
    return pa.table(columns)


def _metrics(name: str, alphas: np.ndarray, tops: np.ndarray) -> pa.Table:
    count = len(alphas)
    same = {"unfold": "slices", "profile": "weightwatcher", "profile_key": "k", "code_version": "1"}
    same |= {"N": 256, "M": 128, "Q": 2.0, "rf": 1, "num_evals": 128, "D": 0.05, "sigma": 0.3, "xmin": 1.0}
    same |= {"xmax": 10.0, "num_pl_spikes": 40, "stable_rank": 12.0, "entropy": 0.9, "status": "success"}
    columns = {key: [value] * count for key, value in same.items()}
    columns |= {"content_hash": [f"{name} {i}" for i in range(count)], "alpha": alphas, "alpha_weighted": alphas * tops}
    return pa.table(columns | {"log_alpha_norm": alphas * tops + 0.1, "log_norm": tops + 1, "log_spectral_norm": tops})
