"""Work is made when it is wanted, and forgotten when the warehouse has it: memory stays bounded."""

from __future__ import annotations

import itertools
import shutil
from array import array
from pathlib import Path

import pytest

from tests.jobs.test_prefetch import Slow
from tests.jobs.zoos import make_zoo
from zoospectra.jobs.call import call
from zoospectra.jobs.work import coming, contents
from zoospectra.jobs.work.executors.task import Task
from zoospectra.jobs.work.schedule import Coming, run
from zoospectra.warehouse import build
from zoospectra.warehouse.query import query

ROWS = "SELECT * EXCLUDE (written) FROM layer_metrics ORDER BY ALL"


def test_tasks_are_made_when_they_are_wanted() -> None:
    made, over = itertools.count(), 0

    def handle(outcome: object) -> tuple[()]:
        nonlocal over
        over += 1
        return ()

    def tasks():  # type: ignore[no-untyped-def]
        for number in itertools.islice(made, 500):
            assert number <= over + 3 * Slow.slots + 2 * Slow.slots + 1
            yield Task(f"{number}", str, None, seconds=1.0)

    run((), Slow(), handle, coming=Coming(tasks()))  # type: ignore[arg-type]
    assert (over, next(made)) == (500, 500)


def test_models_are_looked_up_a_few_together() -> None:
    order = range(1200)
    layers = [10] * 7 + [50_000, 19_995] + [10] * 1191
    found = list(coming.batches(coming.Order(array("q", order), array("q", layers), 0.0)))
    assert [due for batch in found for due in batch] == list(zip(order, layers, strict=True))
    assert all(len(batch) <= 500 for batch in found)
    assert all(len(batch) == 1 or sum(due.listed for due in batch) <= 20_000 for batch in found)
    assert list(coming.batches(coming.Order(array("q"), array("q"), 0.0))) == []


def test_what_is_forgotten_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=4)
    for number in range(3):
        shutil.copy(zoo / f"net{number}.safetensors", zoo / f"twin{number}.safetensors")
    words = ["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", "shard_seconds=0.0001"]
    plain = call(*words, f"warehouse.dir={tmp_path / 'plain'}").run.counts
    published = []
    refresh = build.refresh
    monkeypatch.setattr(contents, "FULL", 3)
    monkeypatch.setattr(coming, "MODELS", 1)
    monkeypatch.setattr(build, "refresh", lambda *a, **k: published.append(refresh(*a, **k)) or published[-1])
    forgetful = call(*words, f"warehouse.dir={tmp_path / 'forgetful'}").run.counts
    assert sum(built.published for built in published) > 4, "it was published while it worked"
    assert forgetful == plain
    assert (plain.analysed, plain.layers) == (16, 28)
    wanted = query(tmp_path / "plain", ROWS)
    assert query(tmp_path / "forgetful", ROWS).equals(wanted)
    refit = ["refit", "profiles=corrected", "cluster=inline"]
    refitted = [call(*refit, f"warehouse.dir={tmp_path / name}").run.counts for name in ("plain", "forgetful")]
    assert refitted[0] == refitted[1]
    assert (refitted[0].fitted, refitted[0].layers) == (16, 28)
