"""Tasks of a run: what they do, what they cost, where they should run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zoospectra.jobs.work import plan
from zoospectra.jobs.work.ahead import GUESS, Fetch, fetch
from zoospectra.jobs.work.executors import Executor, Task
from zoospectra.jobs.work.index import IndexRequest, index_all
from zoospectra.jobs.work.opening import MEMORY, Opening, Priced, by_way, local_files, priced, together, waiting_for
from zoospectra.jobs.work.pieces import Piece, list_layers
from zoospectra.jobs.work.plan import ANYWHERE, Item, Place, Shard, sources
from zoospectra.zoo.fetch.locator import is_remote


def opening(
    requests: Sequence[IndexRequest],
    seconds: float,
    elsewhere: Callable[[], Executor | None],
    *,
    few: bool,
    room: float,
) -> list[Task]:
    """Tasks that open models, about `seconds` each, or bring near what is small and remote, of `room` bytes at most.

    elsewhere: opens the executor, None where there is one machine; few: see by_way.
    """
    large, far, small = by_way(priced(requests), few=few)
    executor = elsewhere() if small else None
    groups: dict[frozenset[str], list[Priced]] = {}
    for each in small:
        lacking = executor.lacking(local_files(each.request.path)) if executor else frozenset()
        groups.setdefault(lacking, []).append(each)
    made = [listing(*each) for each in large] + [fetching(*each, room) for each in far]
    return made + [indexing(batch) for group in groups.values() for batch in together(group, seconds)]


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


def indexing(batch: Sequence[Priced], node: str = "", fetched: int = 0) -> Task:
    """Opens small models; node: which has their files already, `fetched` bytes of them."""
    requests, openings = zip(*batch, strict=True)
    more = f" and {len(requests) - 1} more" if len(requests) > 1 else ""
    return Task(
        key=f"index {requests[0].model.model_id}{more}",
        function=index_all,
        argument=requests,
        seconds=sum(opening.seconds for opening in openings),
        memory=max(opening.memory for opening in openings),
        waits=sum(opening.waits for opening in openings),
        opens=True,
        reads=tuple({file: None for request in requests for file in local_files(request.path)}),
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
