"""A warehouse of pretended scans with a planted population, written through the real writer."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from zoospectra.warehouse.build import build
from zoospectra.warehouse.parts import write
from zoospectra.warehouse.schema import PARTS, field

DEPTH = field("depth", pa.int64(), "count", "Depth of the network")
WIDTH = field("width", pa.int64(), "count", "Width of the network")
LAYERS = 8


def keep(directory: Path, kind: str, key: str, rows: list[dict], *extra: pa.Field, model: str | None = None) -> None:
    write(directory, kind, key, pa.Table.from_pylist(rows, pa.schema([*PARTS[kind], *extra])), model)


def metric(content: str, alpha: float, log_top: float) -> dict:
    row = {"content_hash": content, "unfold": "slices", "profile": "weightwatcher", "profile_key": "k"}
    row |= {"code_version": "1", "N": 64, "M": 32, "Q": 2.0, "rf": 1, "num_evals": 32, "alpha": alpha, "D": 0.05}
    row |= {"num_pl_spikes": 12, "log_norm": log_top + 1, "log_spectral_norm": log_top, "stable_rank": 10.0}
    row |= {"alpha_weighted": alpha * log_top, "log_alpha_norm": alpha * log_top + 0.1, "sigma": 0.5}
    return row | {"status": "success"}


def write_model(
    directory: Path,
    model_id: str,
    alphas: list[float],
    log_tops: list[float],
    revision: str = "r",
    contents: list[str] | None = None,
) -> None:
    contents = contents or [f"{model_id} {revision} {i}" for i in range(len(alphas))]
    layers = [
        {"model_id": model_id, "revision": revision, "layer_id": i, "longname": f"l{i}", "tensor": f"l{i}.weight"}
        | {"layer_type": "dense", "N": 64, "M": 32, "rf": 1, "params": 2048, "content_hash": content}
        for i, content in enumerate(contents)
    ]
    keep(directory, "layers", revision, layers, model=model_id)
    rows = [metric(content, a, top) for content, a, top in zip(contents, alphas, log_tops, strict=True)]
    keep(directory, "layer_metrics", f"m-{revision}", rows, model=model_id)


def write_catalog(directory: Path, snapshot: str, models: list[dict], reported: list[dict], day: int = 0) -> None:
    base = {"snapshot": snapshot, "zoo": "toy", "dataset": "toy", "revision": "r"}
    keep(directory, "models", snapshot, [base | one for one in models], DEPTH, WIDTH)
    rows = [{"snapshot": snapshot, "revision": "r", "dataset": "toy", "source": "test"} | one for one in reported]
    keep(directory, "reported_metrics", snapshot, rows)
    started = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC) + datetime.timedelta(days=day)
    run = {"run_id": f"run-{snapshot}", "snapshot": snapshot, "verb": "scan", "started": started, "finished": started}
    keep(directory, "runs", f"run-{snapshot}", [run])


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 models of 4 depths: accuracy rises with alpha across depths and falls with it inside each."""
    directory = tmp_path_factory.mktemp("planted") / "data"
    rng = np.random.default_rng(0)
    models, reported = [], []
    for i in range(40):
        depth, inner = 1 + i % 4, float(rng.normal())
        alpha = 2.5 + depth + 0.3 * inner
        accuracy = 60 + 5 * depth - 2 * inner + 0.2 * float(rng.normal())
        name = f"toy/net{i:02d}"
        models.append({"model_id": name, "name": f"net{i:02d}", "series": f"depth-{depth}", "depth": depth})
        models[-1]["width"] = 64 * (1 + i // 4 % 2)
        for metric_, value in (("test_accuracy", accuracy), ("train_accuracy", accuracy + 10 + inner)):
            reported.append({"model_id": name, "metric": metric_, "value": value, "higher_is_better": True})
        alphas = (alpha + 0.1 * rng.normal(size=LAYERS)).tolist()
        write_model(directory, name, alphas, rng.normal(size=LAYERS).tolist())
    write_catalog(directory, "s1", models, reported)
    build(directory)
    return directory
