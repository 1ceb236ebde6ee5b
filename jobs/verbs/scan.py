"""`zoospectra scan`: crawl a zoo, analyse what is new, load the warehouse, summarise."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoospectra.analysis.profile import Profile
from zoospectra.jobs.records import ledger, published
from zoospectra.jobs.show.progress import ProgressLine
from zoospectra.jobs.show.summary import print_summary
from zoospectra.jobs.words.command import answered, compose, misuse
from zoospectra.jobs.words.profiles import load_profiles
from zoospectra.jobs.words.settings import ScanSettings
from zoospectra.jobs.work import crawl as crawling
from zoospectra.jobs.work.campaign import Campaign, Counts
from zoospectra.jobs.work.executors import Cluster, open_executor
from zoospectra.jobs.work.schedule import run
from zoospectra.warehouse import build, parts
from zoospectra.zoo.fetch.settings import FetchSettings, configure
from zoospectra.zoo.model import Model

HELP = """usage: zoospectra scan [zoo=digits|local|...] [zoo.path=DIR] [models=GLOB,...] [limit=N] [profiles=NAME,...]
                       [cluster=inline|local|ray] [warehouse.dir=DIR]

Crawls a zoo, analyses the tensors that the warehouse does not know yet, builds a new generation of the warehouse and
prints what it found. Without arguments: the embedded digits zoo, offline. Interrupted scans go on where they were.

exit status: 0 all done; 3 some models or layers failed, listed with reasons; 2 wrong usage; 1 the job itself broke"""

MEMORY_SHARE = 0.7
"""Share of the machine's memory that one matrix may be predicted to need."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan did."""

    run_id: str
    """Its row in `runs`."""
    counts: Counts
    """Models, layers, skips, failures."""
    exit_status: int
    """0, or 3 when something failed."""
    warehouse: Path
    """The generation it published."""


def scan(
    models: Sequence[Model],
    profiles: Sequence[Profile],
    warehouse: Path,
    *,
    cluster: Cluster,
    shard_seconds: float = 1.0,
    attempts: int = 2,
    keep: int = 3,
    config: str = "{}",
) -> Scan:
    """Analyse what is missing of these models and publish a new generation of the warehouse.

    Every finished shard is kept at once, so that an interrupted scan loses seconds of work. Equivalent, for one model
    and the profile `weightwatcher`, to `WeightWatcher(model).analyze()`, with the layers it drops.
    """
    parts.sweep(warehouse)
    entry = ledger.begin("scan", models, warehouse)
    with ProgressLine("scan") as progress:
        memory = int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        campaign = Campaign(
            warehouse,
            models,
            profiles,
            shard_seconds=shard_seconds,
            memory=memory,
            progress=progress,
            device=cluster.device,
        )
        tasks = campaign.start()
        if tasks:
            with misuse():
                workers = open_executor(cluster)
            finished = False
            try:
                run(tasks, workers, campaign.handle, attempts=attempts)
                finished = True
            finally:
                workers.close(cancel=not finished)
    counts = campaign.finish()
    exit_status = 3 if counts.failed else 0
    tally = {"models": counts.models, "layers": counts.layers, "skipped": counts.skipped, "failed": counts.failed}
    ledger.end(entry, warehouse, config=config, exit_status=exit_status, counts=tally)
    return Scan(entry.run_id, counts, exit_status, build.build(warehouse, keep=keep).path)


def command(words: Sequence[str]) -> int:
    """Entry of the verb."""
    if answered("scan", words, HELP, ScanSettings):
        return 0
    settings = compose("scan", words, ScanSettings)
    warehouse, config = Path(settings.warehouse.dir), json.dumps(dataclasses.asdict(settings))
    with misuse():
        profiles = load_profiles(settings.profiles, words, engine=settings.fit.engine)
        configure(FetchSettings(**dataclasses.asdict(settings.fetch)), warehouse / "cache" / "fetch")
        if settings.zoo.source == published.SOURCE:
            return published.scan(
                settings.zoo.path, settings.zoo.name, warehouse, keep=settings.warehouse.keep, config=config
            )
        request = crawling.Request(dataclasses.asdict(settings.zoo), warehouse / "cache", _say)
        found = crawling.crawl(settings.zoo.source, request)
        models = crawling.choose(found, settings.models, settings.limit)
    cluster = Cluster(**dataclasses.asdict(settings.cluster))
    result = scan(
        models,
        profiles,
        warehouse,
        cluster=cluster,
        shard_seconds=settings.shard_seconds,
        attempts=settings.attempts,
        keep=settings.warehouse.keep,
        config=config,
    )
    print_summary(result.run_id, result.counts, models, profiles, warehouse)
    return result.exit_status


def _say(text: str) -> None:
    print(f"scan: {text}", file=sys.stderr, flush=True)
