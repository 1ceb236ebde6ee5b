"""Tasks of a run: what they do, what they cost, where they should run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zoospectra.jobs.work import plan
from zoospectra.jobs.work.ahead import GUESS, Fetch, fetch
from zoospectra.jobs.work.batch import Batch, open_batch
from zoospectra.jobs.work.executors import Executor, Task
from zoospectra.jobs.work.index import IndexRequest
from zoospectra.jobs.work.opening import MEMORY, Opening, Priced, local_files, waiting_for
from zoospectra.jobs.work.pieces import Piece, list_layers
from zoospectra.jobs.work.plan import ANYWHERE, Item, Place, Shard, sources
from zoospectra.zoo.fetch.locator import is_remote


def apart(small: Sequence[Priced], executor: Executor | None) -> list[list[Priced]]:
    """Small checkpoints by the nodes that do not see them; executor: None where there is one machine."""
    groups: dict[frozenset[str], list[Priced]] = {}
    for each in small:
        lacking = executor.lacking(local_files(each.request.path)) if executor else frozenset()
        groups.setdefault(lacking, []).append(each)
    return list(groups.values())


def placed(executor: Executor | None, node: str = "") -> Callable[[Item], Place]:
    """Where items may run, of a model that was opened on `node`; executor: None where there is one machine."""

    def place(item: Item) -> Place:
        paths = sources([item])
        return Place(node if any(map(is_remote, paths)) else "", executor.lacking(paths) if executor else frozenset())

    return place if executor else lambda _: ANYWHERE


def fetching(request: IndexRequest, opening: Opening, room: float) -> Task:
    """Brings a remote model near, before it is opened."""
    return Task(
        key=f"fetch {request.model.model_id}",
        function=fetch,
        argument=Fetch(request, room),
        memory=MEMORY,
        waits=opening.waits,
        fetches=True,
        fetched=opening.size or GUESS,
    )


def listing(request: IndexRequest, opening: Opening) -> Task:
    """Opens a large model by its headers."""
    key = f"list {request.model.model_id}"
    return Task(
        key, list_layers, request, memory=MEMORY, waits=opening.waits, opens=True, reads=local_files(request.path)
    )


def opening(batch: Batch, openings: Sequence[Opening], node: str = "", fetched: int = 0) -> Task:
    """Opens small models; node: which has their files already, `fetched` bytes of them."""
    more = f" and {len(openings) - 1} more" if len(openings) > 1 else ""
    return Task(
        key=f"open {batch.requests[0].model.model_id}{more}",
        function=open_batch,
        argument=batch,
        seconds=sum(each.seconds for each in openings),
        memory=max(each.memory for each in openings),
        waits=sum(each.waits for each in openings),
        opens=True,
        reads=tuple({file: None for request in batch.requests for file in local_files(request.path)}),
        near=node,
        fetched=fetched,
    )


def working(key: str, function: Callable[[Any], Any], work: Shard | Piece, node: str = "") -> Task:
    """Analyses items; node: which has read their files just now, and goes first where they are remote."""
    paths = sources(work.items)
    return Task(
        key=key,
        function=function,
        argument=work,
        seconds=work.seconds,
        cpus=max(item.cost.threads for item in work.items),
        memory=plan.task_bytes(work.items),
        gpus=int(work.device != "cpu"),
        tensors=len(work.items),
        waits=sum(waiting_for(item.layer.ref.path, item.cost.bytes_read) for item in work.items if item.layer),
        reads=tuple(path for path in paths if not is_remote(path)),
        near=node if any(map(is_remote, paths)) else "",
    )
