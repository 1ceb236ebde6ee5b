"""`zoospectra catalog`: crawl only. Models, their weights, what was reported about them; kept in the warehouse."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from zoospectra.jobs.records import ledger
from zoospectra.jobs.show.display import print_table
from zoospectra.jobs.words.command import answered, compose, misuse
from zoospectra.jobs.words.settings import CatalogSettings
from zoospectra.jobs.work import crawl as crawling
from zoospectra.warehouse import build
from zoospectra.zoo.fetch.settings import FetchSettings, configure
from zoospectra.zoo.model import Model

HELP = """usage: zoospectra catalog [zoo=digits|local|pytorchcv|...] [zoo.path=DIR] [models=GLOB,...] [limit=N]
                          [warehouse.dir=DIR]

Reads a zoo's catalogue and keeps it: models, weights, checksums, reported metrics. No weight is analysed."""

SHOWN = 100
"""Rows that are printed; the rest is one query away."""


def catalog(models: Sequence[Model], warehouse: Path, *, keep: int = 3, config: str = "{}") -> pa.Table:
    """Keep a catalogue in the warehouse; returns it, one row a model and reported metric."""
    entry = ledger.begin("catalog", models, warehouse)
    ledger.end(entry, warehouse, config=config, exit_status=0, counts={"models": len(models)})
    build.build(warehouse, keep=keep)
    listing = [
        {"model_id": model.model_id, "series": model.series, "dataset": model.dataset}
        | ({"metric": metric.metric, "value": metric.value} if metric else {"metric": None, "value": None})
        | {"licence": model.licence, "sha256": (model.weights_sha256 or "")[:12] or None}
        for model in models
        for metric in (model.metrics or (None,))
    ]
    return pa.Table.from_pylist(listing)


def command(words: Sequence[str]) -> int:
    """Entry of the verb."""
    if answered("catalog", words, HELP, CatalogSettings):
        return 0
    settings = compose("catalog", words, CatalogSettings)
    warehouse = Path(settings.warehouse.dir)
    with misuse():
        configure(FetchSettings(**dataclasses.asdict(settings.fetch)), warehouse / "cache" / "fetch")
        request = crawling.Request(dataclasses.asdict(settings.zoo), warehouse / "cache", _say)
        found = crawling.crawl(settings.zoo.source, request)
        models = crawling.choose(found, settings.models, settings.limit)
    config = json.dumps(dataclasses.asdict(settings))
    listing = catalog(models, warehouse, keep=settings.warehouse.keep, config=config)
    print_table(listing.slice(0, SHOWN), whole=False)
    if listing.num_rows > SHOWN:
        print(
            f"... and {listing.num_rows - SHOWN} more rows: SELECT * FROM models JOIN reported_metrics USING (model_id)"
        )
    print(f"{len(models)} models; kept in {warehouse / 'warehouse.duckdb'}")
    return 0


def _say(text: str) -> None:
    print(f"catalog: {text}", file=sys.stderr, flush=True)
