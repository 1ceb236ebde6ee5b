"""A job from its beginning to its end: what is missing is computed, kept, accounted for and published."""

from __future__ import annotations

import datetime
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zoospectra.jobs.exit import JobError, exit_status
from zoospectra.jobs.records import ledger
from zoospectra.jobs.show.progress import ProgressLine
from zoospectra.jobs.work.ahead import Fetched
from zoospectra.jobs.work.batch import Opened
from zoospectra.jobs.work.engine import Engine
from zoospectra.jobs.work.executors import Executor, Outcome, Task, node, open_executor
from zoospectra.jobs.work.job import Counts, Job
from zoospectra.jobs.work.pieces import ReadPiece
from zoospectra.jobs.work.schedule import Coming, inaccessible, run
from zoospectra.warehouse import apart, clock, merge
from zoospectra.warehouse.connect import disk_errors, generations
from zoospectra.warehouse.intact import set_aside
from zoospectra.warehouse.publish import DAY
from zoospectra.warehouse.verified import damaged, share_of_the_night
from zoospectra.zoo.checkpoint.trouble import Reason

PUBLISH_SECONDS = 240.0
"""Seconds between two generations that a run publishes while it works."""

BUILDING = 0.1
"""Share of a run's time that these may take: one of a million models takes minutes."""

DAILY = 2e9
"""Bytes of generations a day that a run may publish every PUBLISH_SECONDS: each stays for a day."""

OF_THE_RUN = 0.2
"""Share of a run's time that a pause is at most for their sake: some 30 generations in its first day."""

AHEAD = datetime.timedelta(minutes=5)
"""How far clocks of machines may differ before it is mentioned."""

PASSES = 3
"""Times that a run works on what is missing, where parts are damaged while it runs."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that came to its end."""

    run_id: str
    """Its row in `runs`."""
    counts: Counts
    """Models, layers, skips, failures."""
    warehouse: Path
    """The generation it published."""


def execute(job: Job, work: Callable[[Engine], Iterator[Task]]) -> Run:
    """Open a run, do all its work, close it, and publish a new generation of the warehouse if anything changed.

    `work` gives the tasks: `Engine.refit`, or `Engine.open_models` on the job's models. What is finished is on
    disk seconds later, so that an interrupted run loses no more. What a damaged part held is missing again, and the
    same run computes it; JobError when parts are damaged again and again.
    """
    root, models = Path(job.warehouse.dir), len(job.models)
    with ProgressLine(job.verb) as progress, disk_errors(root):
        before = generations(root)
        if (root / "parts").is_dir():  # what a killed run left in the log is known too
            tonight = [part.name(root) for part in share_of_the_night(root)]
            _tell_damage(progress, [set_aside(root / name) for name in damaged(root, tonight)])
            _tell_damage(progress, apart.refresh(root, job.warehouse.keep, models).broken)
        if (ahead := clock.follow(root)) > AHEAD:
            words = f"rows of this warehouse are dated {ahead} after now by this machine's clock, is one of them wrong?"
            progress.print(f"{words} This run dates its own after them, so that they win")
        entry = ledger.begin(job.verb, root, job.models)
        analysed = fitted = indexed = 0
        for nth in range(1, PASSES + 1):
            engine = Engine(root, job, progress, last=nth == PASSES)
            _work(job, engine, work(engine), progress)
            counts = engine.counts
            counts.analysed, counts.fitted = counts.analysed + analysed, counts.fitted + fitted
            counts.indexed += indexed
            tally = {"models": counts.models, "layers": counts.layers}
            tally |= {"skipped": counts.skipped, "failed": counts.failed}
            ledger.end(entry, root, config=job.config, status=exit_status(counts.failed), counts=tally)
            built = apart.refresh(root, job.warehouse.keep, models)
            _tell_damage(progress, built.broken)
            if not built.broken and not engine.damaged:
                if merge.is_due(root):
                    apart.merge_parts(root, models)
                    built = apart.refresh(root, job.warehouse.keep, models)
                if not built.published and generations(root)[-1:] != before[-1:]:  # published before the run had an end
                    built = apart.publish_results(root, job.warehouse.keep, models)
                return Run(entry.run_id, counts, built.path)
            analysed, fitted, indexed = counts.analysed, counts.fitted, counts.indexed
    msg = f"parts of {root} were damaged {PASSES} times in a row, see *.broken there: is its disk failing?"
    raise JobError(msg)


def _work(job: Job, engine: Engine, tasks: Iterator[Task], progress: ProgressLine) -> None:
    """Run tasks and what follows from them; what is finished is published now and then, and on disk afterwards."""
    root, began = Path(job.warehouse.dir), time.monotonic()
    next_at = began + PUBLISH_SECONDS

    def between(idle: bool) -> None:
        nonlocal next_at
        if idle:
            engine.flush(meanwhile=True)
        due = engine.counts.analysed + engine.counts.fitted and time.monotonic() > next_at
        if due or engine.full:
            engine.flush()
            if merge.is_due(root):
                apart.merge_parts(root, len(job.models))
            built = apart.refresh(root, job.warehouse.keep, len(job.models))
            engine.follow()
            _tell_damage(progress, built.broken)
            engine.damaged |= bool(built.broken)
            now = time.monotonic()
            next_at = now + pause(now - began, built.path.stat().st_size, built.seconds)

    def opened() -> Executor:
        files = engine.files() if job.cluster.address is not None else ()
        return open_executor(job.cluster, node.wanted(files), progress.print)

    engine.opener = opened
    finished = False
    try:
        first = list(itertools.islice(tasks, 1))
        if first:
            run(
                first,
                engine.running(),
                engine.handle,
                attempts=job.attempts,
                patience=job.cluster.patience,
                blocked=_blocked,
                tick=between,
                coming=Coming(tasks, job.ahead),
            )
        finished = True
    finally:
        try:
            if engine.executor is not None:
                engine.executor.close(cancel=not finished)
        finally:
            engine.close()


def pause(elapsed: float, size: int, building: float) -> float:
    """Seconds until a run that began `elapsed` seconds ago publishes again. Pure.

    size: bytes of the generation that it has published; building: seconds that this took. No generation that is younger
    than a day is ever removed, a reader elsewhere may have it open, so that large ones come less often.
    """
    room = min(OF_THE_RUN * elapsed, DAY * size / DAILY)
    return max(PUBLISH_SECONDS, building / BUILDING, room)


def _blocked(outcome: Outcome) -> bool:
    """Whether a task, or part of what it opened, could not be reached."""
    skips = outcome.value.skips if isinstance(outcome.value, Opened | ReadPiece | Fetched) else ()
    return inaccessible(outcome) or any(skip.reason in (Reason.INACCESSIBLE, Reason.CHANGED) for skip in skips)


def _tell_damage(progress: ProgressLine, broken: Iterable[Path]) -> None:
    for part in broken:
        progress.print(f"damaged part moved aside, its content is computed again: {part}")
