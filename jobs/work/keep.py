"""What outcomes leave: parts of results at once, and the skips of every model as one part.

All skips of a model revision are one part, written anew whenever one is added: a kill loses nothing that was kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from zoospectra.analysis.sketch import SKETCH_VERSION
from zoospectra.jobs.records import rows, sketches
from zoospectra.jobs.work.analyse import Analysed
from zoospectra.jobs.work.index import Indexed
from zoospectra.jobs.work.plan import Shard, digest
from zoospectra.jobs.work.todo import KnownLayer
from zoospectra.warehouse import parts
from zoospectra.warehouse.identity import ModelId
from zoospectra.zoo.checkpoint.trouble import Skip

READER_VERSION = "3"
"""Changes when a reader or a layer rule finds other layers in the same bytes: older indexes are then made anew."""


def index_key(model: ModelId, rules: str = "") -> str:
    """Key of the parts that list a model's layers and skips; `rules` is the key of the user's own rules, if any."""
    return digest([model.model_id, model.revision, READER_VERSION, *([rules] if rules else [])])


def layers_part(root: Path, model: ModelId, rules: str = "") -> Path:
    """Where the list of a model's layers lies, or will lie."""
    return parts.part_path(root, "layers", index_key(model, rules), model.model_id)


def kept_layers(part: Path) -> list[KnownLayer]:
    """Layers of a model as an earlier index listed them."""
    table = pq.read_table(part, columns=list(rows.LISTED))
    return [KnownLayer(*layer, layer=None) for layer in rows.listed_layers(table)]


def newest_layers(root: Path, model: ModelId) -> list[KnownLayer]:
    """Layers of a model by the newest list there is of them, whatever rules it was made by; none without a list."""
    lists = parts.parts_of(root, "layers", model.model_id)
    return [layer for part in lists[-1:] for layer in kept_layers(part)]


def keep_layers(root: Path, model: ModelId, indexed: Indexed, rules: str = "") -> None:
    """Keep the list of a model's layers, and first of all their sketches."""
    if indexed.sketches:
        key = digest([SKETCH_VERSION, *(held.content_hash for held in indexed.sketches)])
        parts.write(root, "sketches", key, sketches.table(indexed.sketches), model.model_id)
    parts.write(root, "layers", index_key(model, rules), rows.layers(model, indexed.layers), model.model_id)


def keep_results(root: Path, shard: Shard, analysed: Analysed) -> None:
    """Keep what a shard computed."""
    for kind, table in analysed.tables.items():
        parts.write(root, kind, shard.key, table, shard.model_id)


class SkipParts:
    """The skips of the models of a run, in memory as far as it has met them, and on disk."""

    def __init__(self, root: Path, rules: str = "") -> None:
        self._root = root
        self._rules = rules
        self._skips: dict[ModelId, list[Skip]] = {}

    def start(self, model: ModelId, skips: Iterable[Skip]) -> None:
        """Keep the skips that an index found; they replace those of an earlier index."""
        self._skips[model] = list(skips)
        self._write(model)

    def add(self, model: ModelId, skip: Skip) -> None:
        """Keep one more skip beside those that are kept."""
        if model not in self._skips:
            lists = parts.parts_of(self._root, "skipped", model.model_id)
            self._skips[model] = [skip for part in lists[-1:] for skip in rows.kept_skips(pq.read_table(part))]
        self._skips[model].append(skip)
        self._write(model)

    def _write(self, model: ModelId) -> None:
        table = rows.skipped(model, self._skips[model])
        parts.write(self._root, "skipped", index_key(model, self._rules), table, model.model_id)
