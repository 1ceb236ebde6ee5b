"""analyze: one model, in memory or on disk, to tables; without a warehouse, a cluster or a file.

The only place of the public door that calls the rooms for it. Not covered: many models (scan), pairs (compare).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from zoospectra import _show
from zoospectra._layers import Identity, Wanted, check_layers, means, only
from zoospectra._path import installed_first
from zoospectra._source import opened
from zoospectra.analysis.layer import esds
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.unfold import unfold_rule
from zoospectra.jobs.records import rows
from zoospectra.jobs.words.command import Configuration
from zoospectra.jobs.words.profiles import load_profiles
from zoospectra.jobs.work.analyse import Analysed, analyse
from zoospectra.jobs.work.executors import Cluster, Outcome, Task, open_executor
from zoospectra.jobs.work.index import Indexed, IndexRequest, index
from zoospectra.jobs.work.plan import Item, Shard, digest, needed, pack, spectra_cost
from zoospectra.jobs.work.schedule import run
from zoospectra.warehouse.identity import ModelId
from zoospectra.warehouse.memory import generation
from zoospectra.zoo.checkpoint.dtype import itemsize
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import read_layer
from zoospectra.zoo.model import Model

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

DETAILS = [
    *("layer_id", "name", "D", "M", "N", "Q", "alpha", "alpha_weighted", "entropy", "has_esd", "lambda_max"),
    *("layer_type", "log_alpha_norm", "log_norm", "log_spectral_norm", "longname", "matrix_rank", "norm", "num_evals"),
    *("num_pl_spikes", "rank_loss", "rf", "sigma", "spectral_norm", "stable_rank", "status", "sv_max", "sv_min"),
    *("warning", "weak_rank_loss", "xmax", "xmin"),
]
"""Columns of WeightWatcher 0.7.7's details, in its order."""

LAYERS = """SELECT l.* EXCLUDE (model_id, revision, N, M, Q, rf),
        m.* EXCLUDE (model_id, revision, layer_id, longname, layer_type, "group", content_hash, profile_key,
            code_version, written)
    FROM layers AS l JOIN layer_metrics AS m USING (model_id, layer_id, content_hash) ORDER BY l.layer_id"""
"""One row a layer that has metrics: what it is, then what was measured."""

MEANS = "SELECT * EXCLUDE (model_id, revision, zoo, series, dataset, task, params, profile, rule) FROM model_metrics"
"""One row: counts of layers, and the mean of every metric."""

SHARD_SECONDS = 1.0
"""Predicted work that is done between two looks for Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What later questions about an analysis need."""

    source: object
    """The model, or its path."""
    profile: Profile
    """Convention."""
    spectra: pa.Table | None = None
    """Raw eigenvalues, as the warehouse's spectra."""


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
    _kept: Kept | None = None

    def summary(self) -> dict[str, int | float | None]:
        """Mean of every metric over the layers that count, as the warehouse's model_metrics; None without a value."""
        return dict(self._means)

    def to_pandas(self) -> pd.DataFrame:
        """The layers as a data frame, every column; needs pandas."""
        return self.layers.to_pandas()

    def details(self) -> pd.DataFrame:
        """The layers as a data frame with the columns of WeightWatcher's details in its order; needs pandas.

        A failed fit is NaN, where WeightWatcher has -1; layer_id is the position in the checkpoint.
        """
        frame = self.to_pandas()
        frame = frame.assign(name=frame["longname"].str.rpartition(".")[2], has_esd=frame["num_evals"].notna())
        frame["warning"] = frame["warning"].fillna("")
        return frame.reindex(columns=DETAILS)

    def esd(self, layer: Wanted, *, raw: bool = False) -> FloatArray:
        """Eigenvalues of W^T W of a layer (K,), ascending, all its slices together, as the profile scales them.

        layer: a layer_id, a longname, or a glob that means one. raw: unscaled, equivalent to the squares of
        numpy.linalg.svd(W, compute_uv=False) of every slice; WeightWatcher's get_ESD. Raises ValueError when it does
        not mean one layer.
        """
        kept, row = self._kept_of(layer)
        assert kept.spectra is not None
        (spectrum,) = (
            spectrum
            for unfold, spectrum in rows.spectra_records(kept.spectra)[row["content_hash"]]
            if unfold == kept.profile.unfold
        )
        if raw:
            return np.sort(spectrum.evals, axis=None)
        made = esds(spectrum, row["layer_type"], kept.profile, dtype=row["dtype"])
        return np.sort(np.concatenate([esd.evals for esd in made]))

    def weights(self, layer: Wanted) -> np.ndarray[Any, Any]:
        """The matrices of a layer (S, N, M), N >= M, one a position of a kernel, read anew from the model.

        Raises ValueError when `layer` does not mean one, see `esd`, and for a path that is no longer there.
        """
        kept, row = self._kept_of(layer)
        with listed(kept.source) as layers:
            for layer_now, now in layers:
                if (now["layer_id"], now["content_hash"]) == (row["layer_id"], row["content_hash"]):
                    matrices = unfold_rule("slices").unfold(read_layer(layer_now), layer_now.layer_type)
                    return np.array(matrices)
        msg = f"{self.name}: the layer {row['longname']} is gone: the model has changed since it was analysed"
        raise ValueError(msg)

    def plot(self, layer: Wanted, what: str = "esd") -> Drawing:
        """A layer's spectrum with its fit and noise ('esd'), or D and alpha by start of the tail ('search').

        A figure of matplotlib, which a notebook shows; as `zoospectra figure esd MODEL LAYER`. Raises ValueError when
        `layer` does not mean one, for another `what`, and without matplotlib.
        """
        from zoospectra.jobs.show.figures.draw import draw
        from zoospectra.jobs.show.figures.esd import esd
        from zoospectra.jobs.show.figures.search import search
        from zoospectra.jobs.work.figure import StoredLayer, tables

        if what not in ("esd", "search"):
            msg = f"unknown figure {what!r}: expected esd or search"
            raise ValueError(msg)
        kept, row = self._kept_of(layer)
        assert kept.spectra is not None
        spectra = dict(rows.spectra_records(kept.spectra)[row["content_hash"]])
        identity = (self.name, row["longname"], row["layer_type"], row["dtype"], row["content_hash"])
        made = tables(StoredLayer(*identity, spectra), kept.profile, ("fit", "curve", "esd"))
        return draw(search(made["curve"]) if what == "search" else esd(made["fit"], made["esd"]))

    def _kept_of(self, layer: Wanted) -> tuple[Kept, Mapping[str, Any]]:
        """What was kept, and the row of one layer."""
        assert self._kept is not None
        return self._kept, only(layer, self.layers.to_pylist())

    def __repr__(self) -> str:
        """Means and layers in 80 columns."""
        return _show.text(self)

    def _repr_html_(self) -> str:
        """Means, layers and skips for a notebook."""
        return _show.html(self)


@installed_first()
def analyze(
    model_or_path: object,
    profile: str = "weightwatcher",
    *,
    layers: Wanted | Sequence[Wanted] | None = None,
    config_dir: str | PathLike[str] | None = None,
) -> Analysis:
    """Spectra, power-law fits and norms of every weight matrix of one model.

    model_or_path: a torch module, a state dict, a mapping of names to numpy arrays (or torch tensors), a Keras or ONNX
    model, or the path of a checkpoint: a file, or a folder of shards. Arrays are neither copied nor changed, and a path
    is not imported or executed. profile: a name of conf/profile, or of its like in config_dir. layers: only these, each
    a layer_id, a longname, a glob of longnames or a layer_type.

    The numbers are those of a scan of the same weights. Equivalent, for the default profile, to
    `weightwatcher.WeightWatcher(model).analyze()`, with the layers it drops. A layer that cannot be analysed is a row
    of `skipped`. Raises ValueError for an unknown profile or layer, another kind of object, or an unreadable file.
    """
    configuration = Configuration([fspath(config_dir)] if config_dir is not None else [])
    (chosen,) = load_profiles([profile], configuration)
    return analyze_with(model_or_path, chosen, layers)


def analyze_with(model: object, profile: Profile, layers: Wanted | Sequence[Wanted] | None = None) -> Analysis:
    """`analyze` under a profile that is a record."""
    with opened(model) as (name, path):
        return _analysis(name, path, layers, Kept(model, profile))


@contextmanager
def listed(model: object) -> Iterator[list[tuple[Layer, Mapping[str, Any]]]]:
    """Every layer of a model that can be analysed, readable while this lasts, with its row of the table layers."""
    with opened(model) as (name, path):
        indexed = index(IndexRequest(ModelId(name, ""), path)).layers
        table = rows.layers((ModelId(name, ""), layer) for layer in indexed).to_pylist()
        yield [(layer, row) for (layer, _), row in zip(indexed, table, strict=True)]


def _analysis(name: str, path: str, wanted: Wanted | Sequence[Wanted] | None, kept: Kept) -> Analysis:
    """Index and analyse one model, and read the answer off a warehouse in memory that holds it alone."""
    identity = ModelId(name, "")
    indexed = index(IndexRequest(identity, path))
    for skip in indexed.skips:
        if skip.tensor is None:
            raise CheckpointError(skip.reason, skip.detail)
    if wanted is not None:
        known = [Identity(layer.layer_id, layer.longname, layer.layer_type) for layer, _ in indexed.layers]
        asked = check_layers(wanted, known)
        pairs = zip(indexed.layers, known, strict=True)
        chosen = tuple(pair for pair, layer in pairs if any(means(item, layer) for item in asked))
        indexed = replace(indexed, layers=chosen)
    tables, lost = _results(indexed, kept.profile)
    catalog = rows.models([Model(model_id=name, zoo="", name=name, revision="", path=path)], "memory", ())
    tables |= {"models": catalog, "layers": rows.layers((identity, layer) for layer in indexed.layers)}
    tables["skipped"] = rows.skipped((identity, skip) for skip in [*indexed.skips, *lost])
    with generation(tables) as connection:
        layers = connection.sql(LAYERS).to_arrow_table()
        skipped = connection.sql("SELECT tensor, reason, detail, failed FROM skipped").to_arrow_table()
        averages = connection.sql(MEANS).to_arrow_table().to_pylist()
    kept = replace(kept, spectra=tables.get("spectra"))
    return Analysis(name, kept.profile.name, layers, skipped, averages[0] if averages else {}, kept)


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
