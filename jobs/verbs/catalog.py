"""`zoospectra catalog`: crawl only. Models, their weights, what was reported about them; kept in the warehouse."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.words.verb import Verb
from zoospectra.jobs.work.crawl import ZooSettings
from zoospectra.warehouse.settings import WarehouseSettings
from zoospectra.zoo.fetch.settings import FetchSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from zoospectra.jobs.words.command import Configuration
    from zoospectra.zoo.model import Model

HELP = """usage: zoospectra catalog [zoo=digits|local|pytorchcv|...] [zoo.path=DIR] [models=GLOB,...] [limit=N]
                          [warehouse.dir=DIR]

Reads a zoo's catalog and keeps it: models, weights, checksums, reported metrics. No weight is analysed."""

SHOWN = 100
"""Rows that are printed; the rest is one query away."""


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """Values of `catalog`."""

    zoo: ZooSettings = field(default_factory=ZooSettings)
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    fetch: FetchSettings = field(default_factory=FetchSettings)
    models: list[str] = field(default_factory=list)
    """Globs on a model's name or id; none means all."""
    limit: int | None = None
    """At most so many models, in the zoo's order."""


@dataclass(frozen=True, slots=True)
class Request:
    """A catalog that can be kept."""

    settings: CatalogSettings
    """As composed."""
    models: Sequence[Model]
    """What the zoo lists and the user chose."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """A catalog that is kept."""

    request: Request
    """What was asked for."""
    listing: pa.Table
    """One row a model and reported metric."""


def check(settings: CatalogSettings, _configuration: Configuration) -> Request:
    """Read the catalog; ValueError for whatever is not there."""
    from zoospectra.jobs.work.crawl import crawl
    from zoospectra.zoo.fetch.settings import configure

    cache = Path(settings.warehouse.dir) / "cache"
    configure(settings.fetch, cache / "fetch")
    return Request(settings, crawl(settings.zoo, cache, settings.models, settings.limit))


def catalog(request: Request) -> Catalog:
    """Keep a catalog in the warehouse."""
    import pyarrow as pa

    from zoospectra.jobs.exit import Exit
    from zoospectra.jobs.records import ledger
    from zoospectra.warehouse import build

    warehouse, models = Path(request.settings.warehouse.dir), request.models
    entry = ledger.begin("catalog", warehouse, models)
    config = json.dumps(dataclasses.asdict(request.settings))
    ledger.end(entry, warehouse, config=config, status=Exit.DONE, counts={"models": len(models)})
    build.refresh(warehouse, keep=request.settings.warehouse.keep)
    listing = [
        {"model_id": model.model_id, "series": model.series, "dataset": model.dataset}
        | ({"metric": metric.metric, "value": metric.value} if metric else {"metric": None, "value": None})
        | {"licence": model.licence, "sha256": (model.weights_sha256 or "")[:12] or None}
        for model in models
        for metric in (model.metrics or (None,))
    ]
    return Catalog(request, pa.Table.from_pylist(listing))


def show(result: Catalog) -> None:
    """The first rows, and how to see the rest."""
    from zoospectra.jobs.show.display import print_table

    listing = result.listing
    print_table(listing.slice(0, SHOWN), whole=False, keep=("metric", "value"))
    if listing.num_rows > SHOWN:
        rest = listing.num_rows - SHOWN
        print(f"... and {rest} more rows: SELECT * FROM models JOIN reported_metrics USING (model_id)")
    warehouse = Path(result.request.settings.warehouse.dir, "warehouse.duckdb")
    print(f"{len(result.request.models)} models; kept in {warehouse}")


VERB = Verb(HELP, CatalogSettings, check, catalog, show)
