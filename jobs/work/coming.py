"""In which order the models of a run are opened, and how many of them are looked up together. Pure but for their sizes.

Only a number a model is kept: a catalog may have a million.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from zoospectra.jobs.work.opening import opening_of
from zoospectra.warehouse.unfinished import FRESH, Progress
from zoospectra.zoo.model import Model

MODELS = 500
"""Models that are looked up together."""

LAYERS = 20_000
"""Listed layers that are in memory together, those of one model aside."""


class Choice:
    """The models of a catalog that have weights to open, by their place among those; gone through once, before."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = models
        self._places = array("q")
        self.published: list[Model] = []
        """Models whose source publishes their metrics."""
        self.blocked: list[Model] = []
        """Models that could not even be listed."""

    def __iter__(self) -> Iterator[Model]:
        for place, model in enumerate(self._models):
            if model.published is not None:
                self.published.append(model)
            elif model.trouble is not None:
                self.blocked.append(model)
            else:
                self._places.append(place)
                yield model

    def __getitem__(self, place: int) -> Model:
        return self._models[self._places[place]]


class Due(NamedTuple):
    """A model that is to be opened."""

    place: int
    """Its position in the catalog."""
    listed: int
    """How many layers are listed of it; FRESH where nothing is known."""

    @property
    def known(self) -> bool:
        """Whether the warehouse has anything of it."""
        return self.listed != FRESH


class Order(NamedTuple):
    """Models that are to be opened, the longest first."""

    places: array[int]
    """Positions in the catalog."""
    listed: array[int]
    """How many layers are listed of each."""
    seconds: float
    """Predicted time of opening all."""


def longest_first(models: Choice, left: Progress) -> Order:
    """The models that lack something, those that take longest to open first, else in their order."""
    seconds = array("d", (opening_of(models[place].path).seconds for place in left.unfinished))
    ranks = np.argsort(-np.asarray(seconds), kind="stable")
    places, listed = (array("q", np.asarray(each)[ranks].tobytes()) for each in (left.unfinished, left.listed))
    return Order(places, listed, sum(seconds))


def batches(order: Order) -> Iterator[Sequence[Due]]:
    """Models in their order, MODELS together at most, with LAYERS listed layers at most; a larger model alone."""
    batch: list[Due] = []
    held = 0
    for due in map(Due, order.places, order.listed):
        if batch and (len(batch) == MODELS or held + due.listed > LAYERS):
            yield batch
            batch, held = [], 0
        batch.append(due)
        held += max(0, due.listed)
    if batch:
        yield batch
