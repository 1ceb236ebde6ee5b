"""In which order the models of a run are opened, and how many of them are looked up together. Pure but for their sizes.

Only a number a model is kept: a catalog may have a million.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from zoospectra.jobs.work.opening import opening_of
from zoospectra.zoo.model import Model

MODELS = 500
"""Models that are looked up together."""

LAYERS = 20_000
"""Listed layers that are in memory together, those of one model aside."""


class Order(NamedTuple):
    """Models that are to be opened, the longest first."""

    order: array[int]
    """Positions in the catalog."""
    seconds: float
    """Predicted time of opening all."""


def longest_first(models: Sequence[Model], positions: Collection[int]) -> Order:
    """The models at these positions, those that take longest to open first, else in their order."""
    places = array("q", positions)
    seconds = array("d", (opening_of(models[place].path).seconds for place in places))
    ranks = sorted(range(len(places)), key=lambda rank: -seconds[rank])
    return Order(array("q", (places[rank] for rank in ranks)), sum(seconds))


def batches(order: Sequence[int], layers: Mapping[int, int]) -> Iterator[Sequence[int]]:
    """Positions in their order, MODELS together at most, with LAYERS listed layers at most; a larger model alone."""
    first, held = 0, 0
    for rank, place in enumerate(order):
        if rank > first and (rank - first == MODELS or held + layers[place] > LAYERS):
            yield order[first:rank]
            first, held = rank, 0
        held += layers[place]
    if len(order) > first:
        yield order[first:]
