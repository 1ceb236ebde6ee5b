"""A night of 1,000,000 layers on 256 workers that are not there: the real planner and scheduler against the bound.

Costs come from the shapes of every model of three packages' catalogs, as many models as make a million layers. What is
printed stands in docs/scale.md.
"""

from __future__ import annotations

import itertools
import random
import time
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.scale.shapes import Shape, read_shapes
from tests.scale.simulated import SimulatedExecutor, Weather
from zoospectra.analysis.cost import cost, with_one_thread
from zoospectra.jobs.work.executors.task import Outcome, Task
from zoospectra.jobs.work.opening import FILE_SECONDS
from zoospectra.jobs.work.opening import RATE as INDEX_RATE
from zoospectra.jobs.work.plan import Item, pack
from zoospectra.jobs.work.schedule import run

NODES, CPUS = 16, 16
FAIR = Weather()
FOUL = Weather(stragglers=0.002, crashes=0.0005, leaving=(60.0, 300.0))


def items_of(shapes: list[Shape]) -> Iterator[list[Item]]:
    """Distinct tensors of one model after another, in random order, over and over."""
    models: dict[str, list[Item]] = defaultdict(list)
    for shape in shapes:
        price = with_one_thread(cost(shape.N, shape.M, shape.rf, 4))  # as wherever there are several models
        models[shape.package + shape.model] += [Item("", "dense", "float32", None, price)] * shape.layers
    order = list(models.values())
    random.Random(0).shuffle(order)
    for model in order:
        random.Random(1).shuffle(model)
    return itertools.cycle(order)


def night(layers: int, weather: Weather, nodes: int = NODES) -> tuple[SimulatedExecutor, int, int, float]:
    """Run a scan of so many layers; (cluster, tasks over, layers done, seconds of the driver)."""
    executor = SimulatedExecutor(nodes, CPUS, weather)
    models, count = [], 0
    for model in items_of(read_shapes()):
        models.append(model)
        count += len(model)
        if count >= layers:
            break
    done = {"tasks": 0, "layers": 0}

    def handle(outcome: Outcome) -> list[Task]:
        done["tasks"] += 1
        assert outcome.crash is None, "a task that was tried twice is lost"
        if outcome.task.function is open_model:
            shards = pack(models[outcome.task.argument], 1.0)
            return [
                Task(
                    "shard",
                    analyse_shard,
                    len(shard),
                    seconds=sum(item.cost.seconds for item in shard),
                    cpus=max(item.cost.threads for item in shard),
                )
                for shard in shards
            ]
        done["layers"] += outcome.task.argument
        return []

    sizes = [sum(item.cost.bytes_read for item in model) for model in models]
    opened = [
        Task("index", open_model, i, seconds=FILE_SECONDS + size / INDEX_RATE, opens=True)
        for i, size in enumerate(sizes)
    ]
    began = time.process_time()
    run(opened, executor, handle, attempts=3)
    assert done["layers"] == count, "layers were lost"
    return executor, done["tasks"], count, time.process_time() - began


def open_model(_: object) -> None:
    """Stands for the index task."""


def analyse_shard(_: object) -> None:
    """Stands for the work."""


@pytest.mark.parametrize(
    ("layers", "weather"),
    [
        (50_000, FAIR),
        pytest.param(1_000_000, FAIR, marks=pytest.mark.slow),
        pytest.param(1_000_000, FOUL, marks=pytest.mark.slow),
    ],
    ids=["small", "fair", "foul"],
)
def test_the_schedule_is_near_its_bound(layers: int, weather: Weather) -> None:
    nodes = NODES if layers > 100_000 else 1
    cluster, tasks, count, seconds = night(layers, weather, nodes)
    print(
        f"\n{count} layers in {tasks} tasks, {cluster.busy / 3600:.1f} core hours: {cluster.now:.0f} s,"
        f" {cluster.efficiency:.3f} of the bound, driver {1000 * seconds / tasks:.3f} ms a task"
    )
    assert cluster.efficiency >= 0.95
