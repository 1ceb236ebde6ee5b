"""Candidates, laws and matches of made-up sketches against the definitions written out pair by pair."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from zoospectra.analysis.kinship.candidates import SCORE, Index
from zoospectra.analysis.kinship.match import AHEAD, ALIKE, match, unit
from zoospectra.analysis.kinship.null import FARTHEST, law_of, null, theory
from zoospectra.analysis.kinship.records import Size, SketchedLayer, SketchedModel
from zoospectra.analysis.sketch import K

SIZES = (Size(64, 8, 8), Size(512, 32, 16))


def layer(
    rng: np.random.Generator, name: str, size: Size, whole: np.ndarray | None = None, content: str = ""
) -> SketchedLayer:
    whole = rng.normal(size=K) if whole is None else whole
    columns, rows = (rng.normal(size=K) if rng.random() < 0.7 else None for _ in range(2))
    content = content or f"bytes {rng.integers(10**9)}"
    return SketchedLayer(
        name, "up", size, "float32", content, whole, columns, rows, 0.0, float(rng.uniform(0.5, 2)), 0.0, 3.0
    )


def zoo(seed: int, models: int = 12) -> list[SketchedModel]:
    """Unrelated models of 1 to 5 layers; every third is near the one before it, every fifth shares bytes with it."""
    rng = np.random.default_rng(seed)
    made: list[SketchedModel] = []
    for number in range(models):
        layers = [layer(rng, f"block.{i}.up", SIZES[int(rng.integers(2))]) for i in range(int(rng.integers(1, 6)))]
        if number % 3 == 2:
            near = [0.8 * one.whole + 0.6 * rng.normal(size=K) for one in made[-1].layers]
            layers = [layer(rng, one.longname, one.size, w) for one, w in zip(made[-1].layers, near, strict=True)]
        elif number % 5 == 4:
            layers[0] = made[-1].layers[0]
        made.append(SketchedModel(f"m{number}", "r", tuple(layers)))
    return made


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@pytest.mark.parametrize("seed", range(4))
def test_candidates(seed: int) -> None:
    models = zoo(seed)
    index = Index(models)
    for model in models:
        scores = {}
        for number, other in enumerate(models):
            by_kind = defaultdict(float)
            equal = 0.0
            for one in model.layers:
                theirs = [two for two in other.layers if two.size == one.size]
                for kind in ("whole", "columns", "rows"):
                    known = [getattr(two, kind) for two in theirs if getattr(two, kind) is not None]
                    if getattr(one, kind) is not None and known:
                        spread = math.sqrt(1 / K + 1 / (K if kind == "whole" else one.size.M))
                        chance = spread * math.sqrt(2 * math.log(len(known) + 1))
                        by_kind[kind] += max(0.0, max(cosine(getattr(one, kind), two) for two in known) - chance)
                places = {round(math.log(two.norm) * 1e5) for two in theirs}
                near = [round(math.log(one.norm) * 1e5) + step for step in (-1, 0, 1)]
                equal += any(two.content_hash == one.content_hash for two in theirs) + sum(
                    place in places for place in near
                )
            scores[number] = max([equal, *by_kind.values()]) / len(model.layers)
        expected = [n for n in scores if scores[n] > SCORE and models[n] is not model]
        found = index.candidates(model)
        assert sorted(found) == sorted(expected)
        assert [round(scores[n], 5) for n in found] == sorted((round(scores[n], 5) for n in expected), reverse=True)
    assert any(index.candidates(model) for model in models)


def test_no_more_candidates_than_are_looked_at() -> None:
    rng = np.random.default_rng(0)
    same = layer(rng, "l", SIZES[0])
    models = [SketchedModel(f"m{i}", "r", (same,)) for i in range(25)]
    assert Index(models).candidates(models[3]) == [i for i in range(21) if i != 3]
    assert Index(models).candidates(SketchedModel("none", "r", ())) == []


@pytest.mark.parametrize("seed", range(3))
def test_the_law_of_unrelated_layers(seed: int) -> None:
    models = zoo(seed, models=9)
    laws = null(models, seed)
    for size in SIZES:
        own = [(number, one.whole) for number, model in enumerate(models) for one in model.layers if one.size == size]
        pairs = [cosine(a, b) for i, (m, a) in enumerate(own) for n, b in own[:i] if m != n]
        least = math.sqrt(1 / K + 1 / size.elements)
        if len(pairs) < 20:
            assert law_of(laws, size) == theory(size.elements) == (0.0, pytest.approx(least))
            continue
        middle = float(np.median(pairs))  # of so few models every pair is drawn
        spread = 1.4826 * float(np.median(np.abs(np.array(pairs) - middle)))
        assert laws[size].mean == pytest.approx(min(max(middle, 0.0), FARTHEST))
        assert laws[size].spread == pytest.approx(min(max(spread, least), FARTHEST))


def test_a_layer_is_matched_by_bytes_then_likeness_then_name_then_role() -> None:
    rng = np.random.default_rng(0)
    a, b, c, d = rng.normal(size=(4, K))
    size = SIZES[1]

    def model(*layers: SketchedLayer) -> SketchedModel:
        return SketchedModel("m", "r", layers)

    def found(mine: SketchedModel, yours: SketchedModel) -> list[tuple[str, str, str, bool]]:
        return [(p.layer.longname, p.relative.longname, p.by, p.moved) for p in match(mine, yours)]

    mine = model(layer(rng, "x.0.up", size, a, "one"), layer(rng, "x.1.up", size, b, "two"))
    assert found(mine, model(layer(rng, "x.0.up", size, c), layer(rng, "x.1.up", size, d))) == [
        ("x.0.up", "x.0.up", "name", False), ("x.1.up", "x.1.up", "name", False),
    ]  # fmt: skip
    assert found(mine, model(layer(rng, "y.1.ff", size, c), layer(rng, "y.0.ff", size, d))) == [
        ("x.0.up", "y.0.ff", "role", False), ("x.1.up", "y.1.ff", "role", False),
    ]  # fmt: skip
    assert found(mine, model(layer(rng, "x.0.up", size, c), layer(rng, "x.1.up", size, d, "one"))) == [
        ("x.0.up", "x.1.up", "bytes", True), ("x.1.up", "x.1.up", "name", False),
    ]  # fmt: skip
    assert found(mine, model(layer(rng, "x.0.up", size, b), layer(rng, "x.1.up", size, a))) == [
        ("x.0.up", "x.1.up", "sketch", True), ("x.1.up", "x.0.up", "sketch", True),
    ]  # fmt: skip
    assert found(mine, model(layer(rng, "x.0.up", SIZES[0], a))) == []
    a, b, c = (np.eye(K)[i] for i in range(3))
    for alike, named, by in (
        (ALIKE + 0.01, ALIKE - AHEAD, "sketch"), (ALIKE + 0.01, ALIKE - AHEAD + 0.02, "name"),
        (ALIKE - 0.01, 0.0, "name"),
    ):  # fmt: skip
        near = alike * a + math.sqrt(1 - alike**2) * b
        less = named * a + math.sqrt(1 - named**2) * c
        other = model(layer(rng, "x.0.up", size, less), layer(rng, "z.9.down", size, near))
        ((_, _, how, _),) = found(model(layer(rng, "x.0.up", size, a)), other)
        assert how == by


def test_the_norm_is_that_of_mean_and_deviation() -> None:
    assert replace(layer(np.random.default_rng(0), "l", SIZES[0]), mean=-3.0, std=4.0).norm == 40.0


@pytest.mark.parametrize(("size", "other", "law"), [
    (SIZES[0], (1, 1, 1, 1), (FARTHEST, math.sqrt(1 / 32))), (SIZES[0], (-1, -1, -1, -1), (0, math.sqrt(1 / 32))),
    (SIZES[0], (1, -1, 1, -1), (0, FARTHEST)), (Size(10, 5, 2), (1, -1, 1, -1), (0, math.sqrt(1 / 64 + 1 / 10))),
])  # fmt: skip
def test_a_law_is_bounded_and_takes_twenty_pairs(size: Size, other: tuple[int, ...], law: tuple[float, float]) -> None:
    rng, along = np.random.default_rng(0), np.eye(K)[0]
    five = SketchedModel("five", "r", tuple(layer(rng, f"a{i}", size, along) for i in range(5)))
    four = SketchedModel("four", "r", tuple(layer(rng, f"b{i}", size, sign * along) for i, sign in enumerate(other)))
    found = null([five, four])
    assert found[size] == pytest.approx(law)
    many = SketchedModel("many", "r", tuple(layer(rng, f"a{i}", size, along) for i in range(19)))
    one = SketchedModel("one", "r", four.layers[:1])
    assert null([many, one]) == {}
    assert theory(0) == (0.0, math.sqrt(1 / K + 1))


def test_places_and_roles_where_names_differ() -> None:
    rng = np.random.default_rng(0)

    def named(*names: str, contents: str = "") -> SketchedModel:
        held = contents or "abcdefgh"[: len(names)].upper()
        layers = [
            layer(rng, name, SIZES[1], np.eye(K)[i + 9 * bool(contents)], held[i]) for i, name in enumerate(names)
        ]
        return SketchedModel("m", "r", tuple(layers))

    def found(mine: SketchedModel, yours: SketchedModel) -> list[tuple[str, str, str]]:
        return [(p.layer.longname, p.relative.longname, p.by) for p in match(mine, yours)]

    mine = named("x.0", "x.1")
    assert found(mine, named("y.7", "y.8", contents="no")) == [("x.0", "y.7", "role"), ("x.1", "y.8", "role")]
    assert found(mine, named("y.7", "y.8", "y.9", contents="nor")) == []  # places mean nothing
    assert found(mine, named("y.1", "z.1", "y.9", contents="nor")) == [("x.1", "y.1", "role")]  # the first of a role
    assert found(mine, named("y.7", "x.0", "x.1", contents="AAB")) == [("x.0", "x.0", "bytes"), ("x.1", "x.1", "bytes")]
    assert found(mine, named("y.7", "y.8", "x.0", contents="AAn")) == [("x.0", "y.7", "bytes")]


def test_lines_of_unit_length() -> None:
    rows = unit([np.array([3.0, 4.0]), np.zeros(2), np.array([np.inf, 1.0]), np.array([np.nan, 0.0])])
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [0, 0], [0, 0]])


def test_layers_of_zeros_are_candidates_of_each_other() -> None:
    rng = np.random.default_rng(0)
    nothing = [replace(layer(rng, "l", SIZES[0], np.zeros(K)), std=0.0, columns=None, rows=None) for _ in range(2)]
    other = replace(layer(rng, "l", SIZES[0]), std=2.0, columns=None, rows=None)
    models = [SketchedModel(str(i), "r", (one,)) for i, one in enumerate((*nothing, other))]
    assert [Index(models).candidates(one) for one in models] == [[1], [0], []]


def test_equal_norms_make_candidates_to_a_hundred_thousandth() -> None:
    rng = np.random.default_rng(0)

    def of_norm(place: int) -> SketchedModel:
        one = replace(layer(rng, "l", SIZES[0]), std=math.exp(place * 1e-5) / 8, columns=None, rows=None)
        return SketchedModel(f"{place}", "r", (one,))

    models = [of_norm(place) for place in (70000, 70001, 70002, 70004)]
    assert [sorted(Index(models).candidates(one)) for one in models] == [[1], [0, 2], [1], []]
