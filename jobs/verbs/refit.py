"""`zoospectra refit profiles=[...]`: new fits from stored spectra, for the whole warehouse; no weights, no network."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from zoospectra.analysis.profile import FIT_VERSION, SPECTRUM_VERSION, Profile
from zoospectra.jobs.records import ledger
from zoospectra.jobs.show.progress import ProgressLine
from zoospectra.jobs.words.command import MisuseError, answered, compose, misuse
from zoospectra.jobs.words.profiles import load_profiles
from zoospectra.jobs.words.settings import RefitSettings
from zoospectra.jobs.work.analyse import Analysed, Shard, analyse
from zoospectra.jobs.work.executors import Cluster, Outcome, Task, open_executor
from zoospectra.jobs.work.plan import REFIT_COST, Item, digest, needed
from zoospectra.jobs.work.schedule import run
from zoospectra.warehouse import build, parts
from zoospectra.warehouse.known import Known, known_results

HELP = """usage: zoospectra refit profiles=NAME,... [fit.engine=own|powerlaw] [cluster=inline|local|ray]
                        [warehouse.dir=DIR]

Adds a profile, or a second opinion on its fits, to a whole warehouse from the spectra it keeps. Tensors whose spectra a
profile needs and the warehouse lacks (other unfold rules, shuffled copies) are counted: a scan adds them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Refit:
    """What a refit did."""

    run_id: str
    """Its row in `runs`."""
    fitted: int
    """Tensors that got new metrics."""
    known: int
    """Tensors that had them already."""
    lacking: int
    """Tensors without a stored spectrum that a profile needs."""
    failed: int
    """Tensors whose fit broke or whose worker died; the reasons were printed."""


def plan(known: Known, profiles: Sequence[Profile]) -> tuple[list[Shard], int, int]:
    """Shards, one a part of stored spectra, and how many tensors are done already and how many lack a spectrum."""
    done = Counter(row[:3] for row in known.layer_metrics if row[3] == FIT_VERSION)
    names = needed(profiles)
    groups: dict[Path, list[Item]] = {}
    finished = lacking = 0
    for content_hash, (_, layer_type) in sorted(known.kinds.items()):
        paths = [known.spectra.get((content_hash, name, SPECTRUM_VERSION)) for name in names]
        if all((content_hash, profile.unfold, profile.key) in done for profile in profiles):
            finished += 1
        elif None in paths:
            lacking += 1
        else:
            stored = tuple((name, path) for name, path in zip(names, paths, strict=True) if path is not None)
            groups.setdefault(stored[0][1], []).append(Item(content_hash, layer_type, None, REFIT_COST, stored))
    shards = []
    for items in groups.values():
        contents = [item.content_hash for item in items]
        key = digest([*contents, *(profile.key for profile in profiles), FIT_VERSION])
        shards.append(Shard(known.kinds[contents[0]][0], key, tuple(items), tuple(profiles)))
    return shards, finished, lacking


def refit(
    profiles: Sequence[Profile],
    warehouse: Path,
    *,
    cluster: Cluster,
    attempts: int = 2,
    keep: int = 3,
    config: str = "{}",
) -> Refit:
    """Fit every stored spectrum under these profiles and publish a new generation of the warehouse."""
    started = datetime.datetime.now(datetime.UTC)
    known = known_results(warehouse)
    shards, finished, lacking = plan(known, profiles)
    fitted = failed = 0
    with ProgressLine("refit") as progress:

        def handle(outcome: Outcome) -> list[Task]:
            nonlocal fitted, failed
            shard: Shard = outcome.task.argument
            broken = not isinstance(outcome.value, Analysed)
            if broken:
                failed += len(shard.items)
                progress.say(f"{shard.model_id}: {outcome.crash or outcome.error}")
            else:
                for kind, table in outcome.value.tables.items():
                    parts.write(warehouse, kind, shard.key, table, shard.model_id)
                fitted += len(shard.items)
            progress.done(outcome.task.seconds, failures=len(shard.items) * broken)
            return []

        tasks = [Task(f"refit {shard.key}", analyse, shard, shard.seconds) for shard in shards]
        progress.expect(sum(task.seconds for task in tasks))
        if tasks:
            workers = open_executor(cluster)
            complete = False
            try:
                run(tasks, workers, handle, attempts=attempts)
                complete = True
            finally:
                workers.close(cancel=not complete)
    counts = {"layers": fitted, "skipped": lacking, "failed": failed}
    run_id = ledger.record("refit", started, warehouse, config=config, exit_status=3 if failed else 0, counts=counts)
    build.build(warehouse, keep=keep)
    return Refit(run_id, fitted, finished, lacking, failed)


def command(words: Sequence[str]) -> int:
    """Entry of the verb."""
    if answered("refit", words, HELP, RefitSettings):
        return 0
    settings = compose("refit", words, RefitSettings)
    warehouse = Path(settings.warehouse.dir)
    if not (warehouse / "parts").is_dir():
        raise MisuseError(f"no parts at {warehouse}: run 'zoospectra scan warehouse.dir={warehouse}' first")
    with misuse():
        profiles = load_profiles(settings.profiles, words, engine=settings.fit.engine)
    cluster = Cluster(**dataclasses.asdict(settings.cluster))
    config = json.dumps(dataclasses.asdict(settings))
    result = refit(
        profiles, warehouse, cluster=cluster, attempts=settings.attempts, keep=settings.warehouse.keep, config=config
    )
    names = ", ".join(profile.name for profile in profiles)
    print(f"run {result.run_id}: {result.fitted} tensors fitted under {names}, {result.known} known already")
    if result.lacking:
        print(f"{result.lacking} tensors lack a spectrum that {names} needs: scan their zoo with profiles={names}")
    if result.failed:
        print(f"{result.failed} tensors failed, see above")
    print(f"warehouse: {warehouse / 'warehouse.duckdb'}")
    return 3 if result.failed else 0
