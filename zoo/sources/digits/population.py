"""Which models the zoo holds: a contest-like population, groups by depth, hyperparameters crossed inside each group.

The form follows the tasks of the PGDL contest (NeurIPS 2020) and the question that Martin and Mahoney asked of it: does
a trend across groups hold inside them? Designed are two opposite causes. Across groups, deeper nets of a family begin
with larger weights and learn at a lower rate: their norms are larger, and dense ones learn less (convolutional ones
stay level, at smaller norms than dense ones). Inside a group depth, width, initial weights and rate are one; batch size
and epochs decide how far training went, and further training raises norms and accuracy alike.

Measured so: `study=simpson` tells a reversal of log_norm and log_spectral_norm by series, and none of either by batch
size or epochs; of alpha by series it tells nothing. GROUPS was chosen after eight trials, most of which (more images or
label noise by group, weight decay inside) showed no reversal: the population illustrates the paradox and is no evidence
that real zoos have it. Training is real and no score is altered.

All see the same images; a tenth of the training labels is wrong, as in studies of memorisation. Not covered: how a
network looks (network.py), how it is trained (training.py).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from itertools import product

VERSION = 2
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
    init_scale: float
    """Factor on He-normal initial weights; one value a group."""
    learning_rate: float
    """Of SGD at the first step, falling linearly to 0; one value a group."""
    batch_size: int
    """Images a step."""
    epochs: int
    """Passes over the training images."""
    dropout: float
    """Probability of dropping an input of the ten-class head."""
    seed: int
    """Of the initial weights, the order of the images and the dropout masks."""

    @property
    def series(self) -> str:
        """Depth group, e.g. 'conv-3'."""
        return f"{self.family}-{self.depth}"

    @property
    def name(self) -> str:
        """Name in the zoo and stem of the file, e.g. 'conv3-w64-b16-e32-d0.2'; one seed a name."""
        return f"{self.family}{self.depth}-w{self.width}-b{self.batch_size}-e{self.epochs}-d{self.dropout:g}"


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What all models of a population share."""

    train_images: int = 240
    """Images trained on, of 1797; all others are the test set."""
    label_noise: float = 0.1
    """Fraction of the training labels replaced by a wrong one; test labels are never touched."""
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


@dataclass(frozen=True, slots=True)
class Group:
    """What the nets of one depth share."""

    family: str
    """'mlp' or 'conv'."""
    depth: int
    """Hidden weight layers."""
    init_scale: float
    """Factor on He-normal initial weights."""
    learning_rate: float
    """Of SGD at the first step."""


# Hidden matrices of 64 and more have enough eigenvalues for a tail; wider convolutions would take most of the time.
WIDTHS: dict[str, int] = {"mlp": 96, "conv": 64}
GROUPS: tuple[Group, ...] = (
    Group("mlp", 2, 0.7, 0.03),
    Group("mlp", 3, 0.85, 0.015),
    Group("mlp", 4, 1.0, 0.008),
    Group("mlp", 5, 1.15, 0.004),
    Group("mlp", 6, 1.3, 0.002),
    Group("conv", 2, 0.8, 0.03),
    Group("conv", 3, 0.95, 0.018),
    Group("conv", 4, 1.1, 0.009),
    Group("conv", 5, 1.25, 0.004),
)
BATCH_SIZES = (8, 16, 32)
EPOCHS = (8, 16, 32)
DROPOUTS = (0.0, 0.2)


def population() -> tuple[Recipe, ...]:
    """The grid: 9 groups of 18 recipes, each with its own seed; groups in the order of GROUPS."""
    cells = [
        (group.family, group.depth, WIDTHS[group.family], group.init_scale, group.learning_rate, *cell)
        for group in GROUPS
        for cell in product(BATCH_SIZES, EPOCHS, DROPOUTS)
    ]
    return tuple(Recipe(*cell, seed=seed) for seed, cell in enumerate(cells))


DESIGN = Design(TrainingSettings(), population())
