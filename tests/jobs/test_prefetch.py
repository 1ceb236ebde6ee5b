"""Remote models are fetched ahead, in a stage of its own: bounded by number and by disk, whatever the server does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback import Loopback, Repo
from tests.zoo.fetch import models
from zoospectra.jobs.main import main
from zoospectra.jobs.work.executors.task import Ahead, Outcome, Task
from zoospectra.jobs.work.schedule import Coming, run
from zoospectra.warehouse.query import query
from zoospectra.zoo.sources import fingerprint

QUICK = ["fetch.rate=1000", "fetch.max_wait=5", "fetch.timeout=5", "cluster=inline"]
ROWS = "SELECT * EXCLUDE (model_id, revision, written) FROM layer_metrics ORDER BY ALL"
FILES = {
    "a/gpt2": {"config.json": b'{"model_type": "gpt2"}', "model.safetensors": models.safetensors(models.gpt2())},
    "b/llama": {"config.json": b'{"model_type": "llama"}', **models.sharded(models.llama(), 3)},
}


class Slow:
    """An executor of four slots that ends one task a call, the last one first; keeps what is under way."""

    slots = 4

    def __init__(self) -> None:
        self.queue: list[Task] = []
        self.fetching: list[int] = []

    def submit(self, task: Task) -> None:
        self.queue.append(task)
        self.fetching.append(sum(each.fetches for each in self.queue))

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        return [Outcome(self.queue.pop(), value=True)] if self.queue else []

    def close(self, *, cancel: bool = False) -> None: ...


def test_what_is_fetched_and_not_opened_is_bounded() -> None:
    sizes = [30, 50, 500, 20, 20, 20, 20, 60, 40, 10] * 5
    made, held, opened = 0, {}, []

    def coming() -> Iterator[Task]:
        nonlocal made
        for made, size in enumerate(sizes, 1):
            yield Task(f"fetch {made}", str, None, fetches=True, fetched=size)

    def handle(outcome: Outcome) -> list[Task]:
        name, task = outcome.task.key.split()[1], outcome.task
        if task.fetches:
            held[name] = task.fetched
            assert sum(held.values()) <= 100 or len(held) == 1
            return [Task(f"index {name}", str, None, seconds=1.0, opens=True, fetched=task.fetched)]
        if task.opens:
            opened.append(held.pop(name))
            assert made <= len(opened) + 3 * Slow.slots + 2 + 3, "made long before it is wanted"
            return [Task(f"work {name}", str, None, seconds=5.0)]
        return []

    executor = Slow()
    run((), executor, handle, coming=Coming(coming(), Ahead(2, 100.0)))  # type: ignore[arg-type]
    assert sorted(opened) == sorted(sizes)
    assert max(executor.fetching) == 2


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with Loopback() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setenv("ZOOSPECTRA_FETCH", "")
        monkeypatch.delenv("ZOOSPECTRA_FETCH")
        server.content.repos = [Repo(name, files) for name, files in FILES.items()]
        yield server


def scan(data: Path, *words: str) -> int:
    ids = f"zoo.ids={','.join(FILES)}"
    return main(["scan", "zoo=huggingface", ids, f"warehouse.dir={data}", *QUICK, *words])


@pytest.mark.slow
def test_the_stage_asks_for_nothing_twice_and_survives_the_server(
    hub: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scan(tmp_path / "none", "fetch.ahead=0") == 0
    before = [seen.path for seen in hub.requests("resolve")]
    assert scan(tmp_path / "ahead") == 0
    after = [seen.path for seen in hub.requests("resolve")][len(before) :]
    assert sorted(before) == sorted(after)
    wanted = query(tmp_path / "none", ROWS)
    assert query(tmp_path / "ahead", ROWS).equals(wanted)
    hub.script.add("*gpt2/resolve/*/model.safetensors", "cut", 2, after=50_000)
    hub.script.add("*llama/resolve/*/model-00002*", "status", 1, 2, status=429, headers={"Retry-After": "1"})
    hub.script.add("*llama/resolve/*/model-00003*", "drip", 2, after=1000, seconds=0.0001)
    assert scan(tmp_path / "faults") == 0
    assert query(tmp_path / "faults", ROWS).equals(wanted)
    hub.script.clear()
    # A cache that is smaller than a model: it passes through.
    assert scan(tmp_path / "small", "fetch.cache_gb=0.0002") == 0
    assert query(tmp_path / "small", ROWS).equals(wanted)
    # Large ones, as their headers say, are read layer by layer.
    monkeypatch.setattr(fingerprint, "LARGE", 100_000)
    assert scan(tmp_path / "large") == 0
    assert query(tmp_path / "large", ROWS).equals(wanted)
