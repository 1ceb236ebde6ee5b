"""Suite 'layers': files of weights to finished metrics, against `WeightWatcher(model).analyze()` on the same layers.

Ours twice, by an executor that is already up: `analyse_files` reads, decomposes and fits, as WeightWatcher does; the
scan also hashes every tensor and writes parts to disk (without crawling and without building the warehouse).
WeightWatcher gets models that are already in memory, and every core. Numbers compared: every layer's alpha.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from zoospectra.analysis.profile import Profile
from zoospectra.jobs.benches.pair import Contender, Row, compare
from zoospectra.jobs.benches.peers import installed, peer, quiet
from zoospectra.jobs.benches.pool import analyse_files
from zoospectra.jobs.show.progress import ProgressLine
from zoospectra.jobs.work.analyse import Analysed
from zoospectra.jobs.work.engine import Engine
from zoospectra.jobs.work.executors import Cluster, Executor, Outcome, Task, open_executor
from zoospectra.jobs.work.executors.call import set_threads
from zoospectra.jobs.work.job import Job
from zoospectra.jobs.work.schedule import run
from zoospectra.warehouse.settings import WarehouseSettings
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources.local import crawl

Shapes = Mapping[str, tuple[int, ...]]


def gpt2() -> list[Shapes]:
    """GPT-2 small: twelve blocks. Without the embeddings, which WeightWatcher drops, and under names that no rule
    splits.
    """
    block = {"first": (2304, 768), "second": (768, 768), "third": (3072, 768), "fourth": (768, 3072)}
    return [{f"h{number}_{name}": shape for number in range(12) for name, shape in block.items()}]


def square(count: int) -> list[Shapes]:
    """Matrices of the size of a 7-billion language model's."""
    return [{f"fc{number}": (4096, 4096) for number in range(count)}]


def small_cnns(count: int = 50) -> list[Shapes]:
    """Checkpoints of the shapes of ResNet-20 for CIFAR: a stem, three stages of six convolutions, a classifier."""
    net: dict[str, tuple[int, ...]] = {"stem": (16, 3, 3, 3)}
    before = 16
    for width in (16, 32, 64):
        for number in range(6):
            net[f"conv{width}_{number}"] = (width, before, 3, 3)
            before = width
    return [net | {"fc": (10, 64)} for _ in range(count)]


WORKLOADS: dict[str, Callable[[], list[Shapes]]] = {
    "gpt2": gpt2,
    "one4096": partial(square, 1),
    "four4096": partial(square, 4),
    "cnn50": small_cnns,
}


def layers(
    names: Sequence[str], executors: Sequence[str], profile: Profile, *, shrink: int, rounds: int, budget: float
) -> Iterator[list[Row]]:
    """One list of rows a workload; `shrink` divides the sides of dense matrices and the number of checkpoints."""
    workers = {name: open_executor(Cluster(name)) for name in executors}
    try:
        for name in names:
            files = [weights(shapes, seed) for seed, shapes in enumerate(_shrunk(WORKLOADS[name](), shrink))]
            with tempfile.TemporaryDirectory() as folder:
                for number, tensors in enumerate(files):
                    save_file(tensors, Path(folder, f"net{number}.safetensors"))
                models = crawl(folder, "bench")
                contenders = [
                    contender
                    for name in executors
                    for contender in _ours(name, Path(folder), models, profile, workers[name])
                ]
                for contender in contenders:
                    contender.run()  # workers import their libraries, files reach the page cache
                if installed("weightwatcher"):
                    contenders.append(_weightwatcher(files))
                yield compare("layers", _case(name, files), contenders, rounds, budget)
    finally:
        for executor in workers.values():
            executor.close()


def weights(shapes: Shapes, seed: int) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Gaussian tensors whose columns differ in scale, so that spectra have tails; keys end in '.weight'."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in shapes.items():
        scale = 0.02 * np.exp(rng.standard_normal((1, shape[1], *(1 for _ in shape[2:])), dtype=np.float32))
        tensors[f"{name}.weight"] = (rng.standard_normal(shape, dtype=np.float32) * scale).astype(np.float32)
    return tensors


def _ours(
    name: str, folder: Path, models: Sequence[Model], profile: Profile, executor: Executor
) -> tuple[Contender, Contender]:
    files = sorted(folder.glob("*.safetensors"))
    return (
        Contender(f"zoospectra, {name}", partial(analyse_files, files, profile, executor)),
        Contender(f"zoospectra scan, {name}", partial(scan, models, profile, executor)),
    )


def scan(models: Sequence[Model], profile: Profile, executor: Executor) -> list[float]:
    """Analyse models into parts of an empty folder; sorted alphas."""
    alphas: list[float | None] = []

    def keep(outcome: Outcome) -> list[Task]:
        analysed = outcome.value if isinstance(outcome.value, Analysed) else getattr(outcome.value, "analysed", None)
        if analysed is not None and "layer_metrics" in analysed.tables:
            alphas.extend(analysed.tables["layer_metrics"]["alpha"].to_pylist())
        return engine.handle(outcome)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        job = Job("scan", (profile,), WarehouseSettings(dir=folder), Cluster("ray", cpus=executor.slots))
        engine = Engine(root, job, ProgressLine("bench", quiet=True))
        engine.executor = executor
        run(
            engine.open_models(models), executor, keep, tick=lambda idle: engine.flush(meanwhile=True) if idle else None
        )
        engine.close()
    return sorted(alpha for alpha in alphas if alpha is not None)


def _weightwatcher(files: Sequence[Mapping[str, Any]]) -> Contender:
    nets = [_module(tensors) for tensors in files]
    return Contender("WeightWatcher", partial(_analyze, peer("weightwatcher"), nets))


def _analyze(package: Any, nets: Sequence[torch.nn.Module]) -> list[float]:  # noqa: ANN401 - an untyped package
    set_threads(torch.multiprocessing.cpu_count())
    alphas: list[float] = []
    for net in nets:
        with quiet(), np.errstate(all="ignore"):
            details = package.WeightWatcher(model=net).analyze()
        alphas += [float(alpha) for alpha in details["alpha"] if alpha >= 0]
    return sorted(alphas)


def _module(tensors: Mapping[str, Any]) -> torch.nn.Module:
    """A torch module with those weights, each in a layer of the kind that WeightWatcher looks for."""
    net = torch.nn.Module()
    for key, array in tensors.items():
        layer: torch.nn.Module
        if array.ndim == 4:
            layer = torch.nn.Conv2d(array.shape[1], array.shape[0], array.shape[2:], bias=False)
        else:
            layer = torch.nn.Linear(array.shape[1], array.shape[0], bias=False)
        layer.weight = torch.nn.Parameter(torch.from_numpy(array))
        net.add_module(key.removesuffix(".weight"), layer)
    return net


def _shrunk(nets: Sequence[Shapes], by: int) -> list[dict[str, tuple[int, ...]]]:
    if by == 1:
        return [dict(net) for net in nets]
    few = nets[: max(1, len(nets) // by)]
    return [
        {name: tuple(max(8, side // by) for side in shape) if len(shape) == 2 else shape for name, shape in net.items()}
        for net in few
    ]


def _case(name: str, files: Sequence[Mapping[str, Any]]) -> str:
    shapes = [array.shape for tensors in files for array in tensors.values()]
    largest = "x".join(map(str, max(shapes, key=prod)))
    return f"{name}: {len(shapes)} layers in {len(files)} file{'s' * (len(files) > 1)}, largest {largest}"
