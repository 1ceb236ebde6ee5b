"""Training of one model: plain SGD at a falling rate on one thread in float32, and what the finished network scores.

The same recipe and settings give the same bytes on the same machine with the same versions; other processors may round
differently, so nothing compares weights across machines.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy
from torch.optim.sgd import sgd

from zoospectra.zoo.sources.digits.network import Network, build_network
from zoospectra.zoo.sources.digits.population import Recipe, TrainingSettings
from zoospectra.zoo.sources.digits.split import Split, make_split


@dataclass(frozen=True, slots=True)
class Scores:
    """What a finished network scores, in evaluation mode."""

    train_accuracy: float
    """Percent of the training labels, the wrong ones included, that the network gives."""
    test_accuracy: float
    """Percent of the (true) test labels that the network gives."""
    train_loss: float
    """Mean cross-entropy on the training labels, nats."""
    test_loss: float
    """Mean cross-entropy on the test labels, nats."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished network."""

    tensors: dict[str, NDArray[np.float32]]
    """State dict in definition order."""
    scores: Scores
    """What it scores."""


_cached_split = lru_cache(maxsize=1)(make_split)


@contextmanager
def _one_seeded_thread(seed: int) -> Iterator[None]:
    """One thread and a seeded generator inside; the caller's afterwards, since any executor's process may train."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def score(network: Network, split: Split) -> Scores:
    """Accuracies and losses of a network on both sides of a split, in evaluation mode."""
    network.eval()
    accuracies, losses = [], []
    with torch.no_grad():
        for images, labels in ((split.train_x, split.train_y), (split.test_x, split.test_y)):
            logits = network(torch.from_numpy(images))
            target = torch.from_numpy(labels)
            accuracies.append(100 * int((logits.argmax(1) == target).sum()) / len(labels))
            losses.append(float(cross_entropy(logits, target)))
    return Scores(*accuracies, *losses)


def train(recipe: Recipe, settings: TrainingSettings) -> Trained:
    """Train one network from its seed: SGD with momentum over shuffled batches, the rate falling linearly to 0.

    Equivalent to torch.optim.SGD (foreach) under LinearLR with end_factor=0, stepped after every batch; the classes
    import torch's compiler, more than a second in every process that trains.
    """
    split = _cached_split(settings)
    with _one_seeded_thread(recipe.seed):
        network = build_network(recipe)
        weights: list[torch.Tensor] = [*network.parameters()]
        momenta: list[torch.Tensor | None] = [None for _ in weights]
        images, labels = torch.from_numpy(split.train_x), torch.from_numpy(split.train_y)
        network.train()
        steps, done = recipe.epochs * math.ceil(len(images) / recipe.batch_size), 0
        for _ in range(recipe.epochs):
            order = torch.randperm(len(images))
            for start in range(0, len(images), recipe.batch_size):
                batch = order[start : start + recipe.batch_size]
                slopes = torch.autograd.grad(cross_entropy(network(images[batch]), labels[batch]), weights)
                rate = recipe.learning_rate * (1 - done / steps)
                with torch.no_grad():
                    sgd(
                        weights,
                        [*slopes],
                        momenta,
                        foreach=True,
                        weight_decay=0.0,
                        momentum=settings.momentum,
                        lr=rate,
                        dampening=0.0,
                        nesterov=False,
                        maximize=False,
                    )
                done += 1
        scores = score(network, split)
    return Trained({name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}, scores)
