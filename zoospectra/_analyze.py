"""analyze: one model, in memory or on disk, to tables; without a warehouse, a cluster or a file.

The only place of the public door that calls the rooms for it. Not covered: many models (scan), distances (compare).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from zoospectra import _show
from zoospectra._path import installed_first
from zoospectra.analysis.profile import Profile
from zoospectra.jobs.records import rows
from zoospectra.jobs.words.command import Configuration, MisuseError
from zoospectra.jobs.words.profiles import load_profiles
from zoospectra.jobs.work.analyse import Analysed, analyse
from zoospectra.jobs.work.executors import Cluster, Outcome, Task, open_executor
from zoospectra.jobs.work.index import Indexed, IndexRequest, index
from zoospectra.jobs.work.plan import Item, Shard, digest, needed, pack, spectra_cost
from zoospectra.jobs.work.schedule import run
from zoospectra.warehouse.identity import ModelId
from zoospectra.warehouse.memory import generation
from zoospectra.zoo.checkpoint.dtype import itemsize
from zoospectra.zoo.checkpoint.formats.memory import in_memory
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip
from zoospectra.zoo.model import Model

if TYPE_CHECKING:
    import pandas as pd

LAYERS = """SELECT l.* EXCLUDE (model_id, revision, N, M, Q, rf),
        m.* EXCLUDE (model_id, revision, layer_id, longname, layer_type, "group", content_hash, profile_key,
            code_version, written)
    FROM layers AS l JOIN layer_metrics AS m USING (model_id, layer_id, content_hash) ORDER BY l.layer_id"""
"""One row a layer that has metrics: what it is, then what was measured."""

MEANS = "SELECT * EXCLUDE (model_id, revision, zoo, series, dataset, task, params, profile, rule) FROM model_metrics"
"""One row: counts of layers, and the mean of every metric."""

SHARD_SECONDS = 1.0
"""Predicted work that is done between two looks for Ctrl-C."""


@dataclass(frozen=True, slots=True, repr=False)
class Analysis:
    """What the weights of one model say."""

    name: str
    """What was analysed: a class, or a path."""
    profile: str
    """Name of the profile: scaling, pooling, filters and fit rule."""
    layers: pa.Table
    """One row a layer in checkpoint order, the columns of the warehouse's layers and layer_metrics; `counted` says
    whether the means use it."""
    skipped: pa.Table
    """One row a tensor that is not analysed: tensor, reason, detail, and whether something is wrong with it."""
    _means: Mapping[str, int | float | None] = field(default_factory=dict)

    def summary(self) -> dict[str, int | float | None]:
        """Mean of every metric over the layers that count, as the warehouse's model_metrics; None without a value."""
        return dict(self._means)

    def to_pandas(self) -> pd.DataFrame:
        """The layers as a data frame; needs pandas."""
        return self.layers.to_pandas()

    def __repr__(self) -> str:
        """Means and layers in 80 columns."""
        return _show.text(self)

    def _repr_html_(self) -> str:
        """Means, layers and skips for a notebook."""
        return _show.html(self)


@installed_first()
def analyze(
    model_or_path: object, profile: str = "weightwatcher", *, config_dir: str | PathLike[str] | None = None
) -> Analysis:
    """Spectra, power-law fits and norms of every weight matrix of one model.

    model_or_path: a torch module, a state dict, a mapping of names to numpy arrays (or torch tensors), a Keras model,
    or the path of a checkpoint: a file, or a folder of shards. Arrays are neither copied nor changed, and a path is not
    imported or executed. profile: a name of conf/profile, or of its like in config_dir.

    The numbers are those of a scan of the same weights. Equivalent, for the default profile, to
    `weightwatcher.WeightWatcher(model).analyze()`, with the layers it drops. A layer that cannot be analysed is a row
    of `skipped`. Raises ValueError for an unknown profile, another kind of object, or a file that cannot be read.
    """
    configuration = Configuration([fspath(config_dir)] if config_dir is not None else [])
    (chosen,) = load_profiles([profile], configuration)
    if isinstance(model_or_path, str | PathLike):
        path = Path(model_or_path)
        if not path.exists():
            raise MisuseError(f"{path}: no such file or folder")
        return _analysis(str(path), str(path.absolute()), chosen)
    with in_memory(model_or_path) as place:
        return _analysis(type(model_or_path).__name__, place, chosen)


def _analysis(name: str, path: str, profile: Profile) -> Analysis:
    """Index and analyse one model, and read the answer off a warehouse in memory that holds it alone."""
    identity = ModelId(name, "")
    indexed = index(IndexRequest(identity, path))
    for skip in indexed.skips:
        if skip.tensor is None:
            raise CheckpointError(skip.reason, skip.detail)
    tables, lost = _results(indexed, profile)
    catalog = rows.models([Model(model_id=name, zoo="", name=name, revision="", path=path)], "memory")
    tables |= {"models": catalog, "layers": rows.layers(identity, indexed.layers)}
    tables["skipped"] = rows.skipped(identity, [*indexed.skips, *lost])
    with generation(tables) as connection:
        layers = connection.sql(LAYERS).to_arrow_table()
        skipped = connection.sql("SELECT tensor, reason, detail, failed FROM skipped").to_arrow_table()
        means = connection.sql(MEANS).to_arrow_table().to_pylist()
    return Analysis(name, profile.name, layers, skipped, means[0] if means else {})


def _results(indexed: Indexed, profile: Profile) -> tuple[dict[str, pa.Table], list[Skip]]:
    """Rows of every distinct tensor by kind of part, and a Skip for each whose analysis broke."""
    items: dict[str, Item] = {}
    names: dict[str, list[str]] = {}
    for layer, content_hash in indexed.layers:
        names.setdefault(content_hash, []).append(layer.ref.name)
        size = itemsize(layer.ref.dtype)
        cost = spectra_cost(layer.shape, layer.layer_type, needed([profile]), size)
        items.setdefault(content_hash, Item(content_hash, layer.layer_type, layer.dtype, layer, cost))
    tables: dict[str, list[pa.Table]] = {}
    lost: list[Skip] = []

    def handle(outcome: Outcome) -> list[Task]:
        shard: Shard = outcome.task.argument
        if isinstance(outcome.value, Analysed):
            for kind, table in outcome.value.tables.items():
                tables.setdefault(kind, []).append(table)
        elif len(shard.items) > 1:  # only the guilty tensor shall be lost
            return [_task((item,), profile) for item in shard.items]
        else:
            tensors = names[shard.items[0].content_hash]
            lost.extend(Skip(tensor, Reason.ERROR, str(outcome.error), failed=True) for tensor in tensors)
        return []

    executor = open_executor(Cluster("inline"))
    try:
        shards = pack(items.values(), SHARD_SECONDS)
        run([_task(shard, profile) for shard in shards], executor, handle)
    finally:
        executor.close()
    return {kind: pa.concat_tables(pieces, promote_options="default") for kind, pieces in tables.items()}, lost


def _task(items: tuple[Item, ...], profile: Profile) -> Task:
    shard = Shard("", digest(item.content_hash for item in items), items, (profile,))
    return Task(shard.key, analyse, shard, shard.seconds, cpus=max(item.cost.threads for item in items))
