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

HYPERPARAMETERS = ("batch_size", "epochs", "dropout")
OF_THE_GROUP = ("family", "depth", "width", "init_scale", "learning_rate")


def test_population_has_groups_by_depth_with_a_grid_in_each() -> None:
    recipes = DESIGN.recipes
    groups = Counter(recipe.series for recipe in recipes)
    assert len(recipes) == 162
    assert len(groups) == 9
    assert set(groups.values()) == {18}
    assert {(r.family, r.depth) for r in recipes} == {(g.split("-")[0], int(g.split("-")[1])) for g in groups}
    for group in groups:
        members = [recipe for recipe in recipes if recipe.series == group]
        for name in HYPERPARAMETERS:
            counts = Counter(getattr(recipe, name) for recipe in members)
            assert len(counts) >= 2
            assert len(set(counts.values())) == 1, f"{name} is not balanced in {group}"
        assert len({tuple(getattr(recipe, name) for name in OF_THE_GROUP) for recipe in members}) == 1


@pytest.mark.parametrize("family", ["mlp", "conv"])
def test_deeper_groups_begin_larger_and_learn_slower(family: str) -> None:
    groups = sorted({(r.depth, r.init_scale, -r.learning_rate) for r in DESIGN.recipes if r.family == family})
    assert len(groups) >= 4
    for column in zip(*groups, strict=True):
        assert list(column) == sorted(set(column))


@pytest.mark.parametrize("family", ["mlp", "conv"])
def test_initial_weights_follow_their_scale(family: str) -> None:
    recipe = replace(DESIGN.recipes[0], family=family, init_scale=1.0)
    torch.manual_seed(3)
    plain = build_network(recipe).state_dict()
    torch.manual_seed(3)
    scaled = build_network(replace(recipe, init_scale=1.5)).state_dict()
    for name, weight in plain.items():
        assert torch.equal(scaled[name], weight * 1.5)
        if weight.ndim > 1:
            assert weight.std() == pytest.approx((2 / weight[0].numel()) ** 0.5, rel=0.2)


def test_names_and_seeds_are_unique_and_safe_as_file_names() -> None:
    assert len({recipe.name for recipe in DESIGN.recipes}) == len(DESIGN.recipes)
    assert len({recipe.seed for recipe in DESIGN.recipes}) == len(DESIGN.recipes)
    assert all(set(recipe.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.") for recipe in DESIGN.recipes)
    assert Recipe("conv", 2, 64, 1.0, 0.01, 32, 8, 0.5, seed=3).name == "conv2-w64-b32-e8-d0.5"
    assert Recipe("mlp", 3, 64, 1.0, 0.01, 32, 8, 0.0, seed=3).series == "mlp-3"


def test_folder_changes_with_whatever_changes_a_weight() -> None:
    more = Design(replace(DESIGN.settings, train_images=DESIGN.settings.train_images + 1), DESIGN.recipes)
    other_seed = Design(DESIGN.settings, (replace(DESIGN.recipes[0], seed=999), *DESIGN.recipes[1:]))
    assert len({DESIGN.folder, more.folder, other_seed.folder}) == 3
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
        assert weights
        assert all(min(v.shape[:2]) >= 64 for v in weights.values())
        assert len(weights) + (recipe.family == "conv") == recipe.depth


@pytest.mark.parametrize(("family", "depth"), [("transformer", 2), ("mlp", 0)])
def test_unknown_family_is_refused_with_the_known_ones(family: str, depth: int) -> None:
    with pytest.raises(ValueError, match=r"'conv', 'mlp'"):
        build_network(Recipe(family, depth, 64, 1.0, 0.01, 32, 8, 0.0, seed=0))


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
