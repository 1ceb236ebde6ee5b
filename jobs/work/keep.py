"""What outcomes leave: rows in the log of the run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from zoospectra.jobs.records import rows, sketches
from zoospectra.jobs.work.analyse import Analysed
from zoospectra.jobs.work.batch import Opened
from zoospectra.jobs.work.index import Sketched
from zoospectra.jobs.work.plan import digest
from zoospectra.warehouse.identity import ModelId
from zoospectra.warehouse.log import Log
from zoospectra.warehouse.unfinished import Listing
from zoospectra.zoo.checkpoint.trouble import Skip
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.model import Model

READER_VERSION = "3"
"""Changes when a reader or a layer rule finds other layers in the same bytes: older indexes are then made anew."""


MEANWHILE = 1 << 20
"""Bytes of finished rows that are written while a slot has nothing to do: the end of a run has less to write."""


def reader(rules: str = "") -> str:
    """What lists a model's layers; `rules` is the key of the user's own rules, if any."""
    return f"{READER_VERSION} {rules}" if rules else READER_VERSION


def index_key(model: ModelId, rules: str = "") -> str:
    """What older versions called the listing of a model, which then was a part of its own."""
    return digest([model.model_id, model.revision, READER_VERSION, *([rules] if rules else [])])


def listing(model: Model, rules: str = "") -> Listing:
    """How the warehouse may know that a model's layers are listed."""
    identity = ModelId(model.model_id, model.revision)
    return Listing(identity, index_key(identity, rules))


class Keeper:
    """The log of a run, in the words of its outcomes."""

    def __init__(self, root: Path, seconds: float, rules: str = "") -> None:
        self._log = Log(root, seconds)
        self.reader = reader(rules)

    def keep_models(self, first: ModelId, opened: Opened) -> None:
        """Keep what a batch gave, `first` its first model: lists of layers, skips, sketches, results.

        They replace earlier listings of the same models.
        """
        self._log.put(f"{first.model_id} {first.revision}", {**opened.tables, **opened.analysed.tables})

    def keep_some_layers(self, model: ModelId, layers: Sequence[tuple[Layer, str]]) -> None:
        """Keep those layers of a large model that are read, until its listing replaces them."""
        tables = {"layers": rows.layers((model, layer) for layer in layers)}
        tables["indexed"] = rows.indexed(self.reader, [rows.Listing(model, None, None)])
        self._log.put(f"{model.model_id} {model.revision}", tables)

    def keep_sketches(self, key: str, held: Sequence[Sketched]) -> None:
        """Keep sketches of contents that have none yet."""
        if held:
            self._log.put(f"sketches {key}", {"sketches": sketches.table(held)})

    def keep_results(self, key: str, analysed: Analysed) -> None:
        """Keep what a shard computed."""
        self._log.put(key, analysed.tables)

    def keep_failure(self, model: ModelId, skip: Skip) -> None:
        """Keep why a model could not be opened; it replaces all that was said about its tensors."""
        self._log.put(f"{model.model_id} {model.revision}", {"skipped": rows.skipped([(model, skip)])})

    def keep_troubles(self, models: Iterable[Model]) -> int:
        """Keep why models could not even be listed; their number."""
        blocked = [(model, model.trouble) for model in models if model.trouble is not None]
        for model, trouble in blocked:
            self.keep_failure(ModelId(model.model_id, model.revision), trouble)
        return len(blocked)

    def add_skip(self, model: ModelId, skip: Skip) -> None:
        """Keep why a tensor of a listed model was not analysed, beside what its listing left out."""
        table = rows.skipped([(model, skip)], added=True)
        self._log.put(f"{model.model_id} {model.revision} {skip.tensor}", {"skipped": table})

    def flush(self, least: int = 0) -> None:
        """Put on disk what waits, if it has `least` bytes."""
        self._log.flush(least)
