"""The full design of the digits zoo, without training it: groups, grids, names, shapes, split."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from zoospectra.zoo.sources.digits.network import build_network
from zoospectra.zoo.sources.digits.population import DESIGN, Design, Recipe, TrainingSettings
from zoospectra.zoo.sources.digits.split import make_split

HYPERPARAMETERS = ("width", "batch_size", "dropout", "weight_decay")


def test_population_has_groups_by_depth_with_a_grid_in_each() -> None:
    recipes = DESIGN.recipes
    groups = Counter(recipe.series for recipe in recipes)
    assert len(recipes) >= 40
    assert len(groups) >= 4
    assert min(groups.values()) >= 10
    assert {(r.family, r.depth) for r in recipes} == {(g.split("-")[0], int(g.split("-")[1])) for g in groups}
    for group in groups:
        members = [recipe for recipe in recipes if recipe.series == group]
        for name in HYPERPARAMETERS:
            counts = Counter(getattr(recipe, name) for recipe in members)
            assert len(counts) >= 2
            assert len(set(counts.values())) == 1, f"{name} is not balanced in {group}"


def test_names_and_seeds_are_unique_and_safe_as_file_names() -> None:
    assert len({recipe.name for recipe in DESIGN.recipes}) == len(DESIGN.recipes)
    assert len({recipe.seed for recipe in DESIGN.recipes}) == len(DESIGN.recipes)
    assert all(set(recipe.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.") for recipe in DESIGN.recipes)
    assert Recipe("conv", 2, 64, 32, 0.5, 0.001, seed=3).name == "conv2-w64-b32-d0.5-wd0.001"
    assert Recipe("mlp", 3, 64, 32, 0.0, 0.0, seed=3).series == "mlp-3"


def test_folder_changes_with_whatever_changes_a_weight() -> None:
    longer = Design(replace(DESIGN.settings, epochs=DESIGN.settings.epochs + 1), DESIGN.recipes)
    other_seed = Design(DESIGN.settings, (replace(DESIGN.recipes[0], seed=999), *DESIGN.recipes[1:]))
    assert len({DESIGN.folder, longer.folder, other_seed.folder}) == 3
    assert Design(TrainingSettings(), tuple(DESIGN.recipes)).folder == DESIGN.folder


def test_hidden_matrices_are_wide_enough_for_tails() -> None:
    for recipe in DESIGN.recipes:
        with torch.device("meta"):
            weights = {k: v for k, v in build_network(recipe).state_dict().items() if v.ndim >= 2}
        names = list(weights)
        assert names[0] == "features.0.weight"
        assert names[-1] == "classifier.1.weight"
        assert weights.pop("classifier.1.weight").shape[0] == 10
        if recipe.family == "conv":
            assert weights.pop("features.0.weight").shape == (recipe.width, 1, 3, 3)
        assert len(weights) >= 2
        assert all(min(v.shape[:2]) >= 64 for v in weights.values())
        assert len(weights) + (recipe.family == "conv") == recipe.depth


@pytest.mark.parametrize(("family", "depth"), [("transformer", 2), ("mlp", 0)])
def test_unknown_family_is_refused_with_the_known_ones(family: str, depth: int) -> None:
    with pytest.raises(ValueError, match=r"'conv', 'mlp'"):
        build_network(Recipe(family, depth, 64, 32, 0.0, 0.0, seed=0))


def test_split_uses_every_image_once_and_spoils_exactly_the_stated_labels() -> None:
    settings = DESIGN.settings
    split, clean = make_split(settings), make_split(replace(settings, label_noise=0.0))
    images, labels = load_digits(return_X_y=True)
    joined = np.column_stack([np.vstack([clean.train_x, clean.test_x]) * 16, np.append(clean.train_y, clean.test_y)])
    truth = np.column_stack([images, labels])
    assert np.array_equal(joined[np.lexsort(joined.T)], truth[np.lexsort(truth.T)])
    assert len(split.train_x) == settings.train_images
    assert np.sum(split.train_y != clean.train_y) == round(settings.label_noise * settings.train_images)
    assert np.array_equal(split.test_y, clean.test_y)
    assert np.array_equal(split.train_x, clean.train_x)
    assert set(np.unique(split.train_y)) == set(range(10))


def test_split_without_test_images_is_refused() -> None:
    with pytest.raises(ValueError, match="between 1 and 1796"):
        make_split(TrainingSettings(train_images=1797))
