"""`zoospectra catalog`: crawl only. Models, their weights, what was reported about them; kept in the warehouse."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from jobs import crawl as crawling
from jobs import ledger
from jobs.command import compose, misuse, show
from jobs.display import print_table
from jobs.settings import CatalogSettings
from warehouse import build
from zoo.model import Model

HELP = """usage: zoospectra catalog [zoo=digits|local] [zoo.path=DIR] [models=GLOB,...] [limit=N] [warehouse.dir=DIR]

Reads a zoo's catalogue and keeps it: models, weights, checksums, reported metrics. No weight is analysed."""


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
    if "--help" in words:
        print(HELP)
        return 0
    if "--cfg" in words:
        print(show("catalog", [word for word in words if word != "--cfg"], CatalogSettings))
        return 0
    settings = compose("catalog", words, CatalogSettings)
    zoo, warehouse = settings.zoo, Path(settings.warehouse.dir)
    with misuse():
        found = crawling.crawl(zoo.source, zoo.name, zoo.path, cache=warehouse / "cache", workers=zoo.workers, say=_say)
        models = crawling.choose(found, settings.models, settings.limit)
    config = json.dumps(dataclasses.asdict(settings))
    print_table(catalog(models, warehouse, keep=settings.warehouse.keep, config=config))
    print(f"{len(models)} models; kept in {warehouse / 'warehouse.duckdb'}")
    return 0


def _say(text: str) -> None:
    print(f"catalog: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    from jobs.main import run_verb

    run_verb("catalog")
