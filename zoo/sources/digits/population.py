"""Which models the zoo holds: a contest-like population, groups by depth, hyperparameters crossed inside each group.

The form follows the tasks of the PGDL contest (NeurIPS 2020): one data set, several depths, and in every depth the same
grid of width, batch size, dropout and weight decay. A fifth of the training labels is wrong, as in studies of
memorisation: what a hyperparameter does to memorising then decides the test accuracy, and generalisation gaps differ by
tens of points.

Not covered: how a network looks (network.py), how it is trained (training.py).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from itertools import product

VERSION = 1
"""Raised whenever network.py, training.py or split.py change what a recipe gives: old files are then never reused."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What distinguishes one model from the others."""

    family: str
    """'mlp' or 'conv'."""
    depth: int
    """Hidden weight layers: all but the ten-class head."""
    width: int
    """Units, or channels, of every hidden layer."""
    batch_size: int
    """Images a step."""
    dropout: float
    """Probability of dropping an activation."""
    weight_decay: float
    """Coefficient of the L2 penalty in SGD."""
    seed: int
    """Of the initial weights, the order of the images and the dropout masks."""

    @property
    def series(self) -> str:
        """Depth group, e.g. 'conv-3'."""
        return f"{self.family}-{self.depth}"

    @property
    def name(self) -> str:
        """Name in the zoo and stem of the file, e.g. 'conv3-w64-b16-d0.25-wd0.005'; one seed a name."""
        return f"{self.family}{self.depth}-w{self.width}-b{self.batch_size}-d{self.dropout:g}-wd{self.weight_decay:g}"


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What all models of a population share."""

    train_images: int = 360
    """Images trained on, of 1797; all others are the test set."""
    label_noise: float = 0.2
    """Fraction of the training labels replaced by a wrong one; test labels are never touched."""
    epochs: int = 24
    """Passes over the training images."""
    learning_rate: float = 0.03
    """Of SGD, constant."""
    momentum: float = 0.9
    """Of SGD."""
    split_seed: int = 20
    """Of the split and of the label noise."""


@dataclass(frozen=True, slots=True)
class Design:
    """A whole population."""

    settings: TrainingSettings
    """What the models share."""
    recipes: tuple[Recipe, ...]
    """The models, in catalog order."""

    @property
    def folder(self) -> str:
        """Name of the cache folder: it changes with anything that changes a weight."""
        text = json.dumps([VERSION, asdict(self)], sort_keys=True)
        return f"digits-v{VERSION}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


# Widths of 64 and more give every hidden matrix at least 64 eigenvalues, enough for a tail; wider convolutions would
# take most of the training time.
WIDTHS: dict[str, tuple[int, int]] = {"mlp": (128, 256), "conv": (64, 96)}
GROUPS: tuple[tuple[str, int], ...] = (("mlp", 2), ("mlp", 4), ("mlp", 6), ("conv", 3), ("conv", 5))
BATCH_SIZES = (16, 128)
DROPOUTS = (0.0, 0.25)
WEIGHT_DECAYS = (0.0, 0.005)


def population() -> tuple[Recipe, ...]:
    """The grid: 5 groups of 16 recipes, each with its own seed; groups in the order of GROUPS."""
    cells = [
        (family, depth, *cell)
        for family, depth in GROUPS
        for cell in product(WIDTHS[family], BATCH_SIZES, DROPOUTS, WEIGHT_DECAYS)
    ]
    return tuple(Recipe(*cell, seed=seed) for seed, cell in enumerate(cells))


DESIGN = Design(TrainingSettings(), population())
