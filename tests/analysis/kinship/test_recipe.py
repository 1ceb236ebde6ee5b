"""Recipes of mixed models: coefficients by scipy's least squares, every kind at its bounds; merges unnamed."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from tests.analysis.kinship.sketched import axis, layer, model, net
from zoospectra.analysis.kinship.merges import merge
from zoospectra.analysis.kinship.recipe import recipe, regress
from zoospectra.analysis.kinship.records import SketchedModel
from zoospectra.analysis.kinship.relatives import families
from zoospectra.analysis.sketch import K

Wholes = dict[str, np.ndarray]
NAMES = tuple(f"l.{i}" for i in range(6))


def drawn(seed: int) -> Wholes:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=K) * rng.uniform(1, 5) for name in NAMES}


def mixed(*terms: tuple[float, Wholes], noise: float = 0.0) -> Wholes:
    rng = np.random.default_rng(9)
    return {name: sum(b * own[name] for b, own in terms) + noise * rng.normal(size=K) for name in NAMES}


A, B, C = (drawn(seed) for seed in range(3))
PARENTS = [net(name, own) for name, own in (("a", A), ("b", B), ("c", C))]


def test_least_squares_are_scipys() -> None:
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(20, 3)), rng.normal(size=20)
    y = X @ [0.5, -1.0, 2.0] + noise
    fit = regress(X, y)
    expected = lsq_linear(X, y)
    left = 2.0 * expected.cost
    assert fit.coefficients == pytest.approx(expected.x)
    assert fit.r2 == pytest.approx(1.0 - left / np.sum(y**2))
    assert fit.errors == pytest.approx(np.sqrt(np.diag(np.linalg.pinv(X.T @ X)) * left / 17))
    assert regress(X[:3], y[:3]).errors == (math.inf,) * 3  # nothing is left over
    assert all(map(math.isfinite, regress(X[:4], y[:4]).errors))
    twice = regress(X[:, [0, 0]], 3.0 * X[:, 0])
    assert (twice.coefficients, twice.errors) == (pytest.approx((1.5, 1.5)), (math.inf,) * 2)
    nothing = regress(X, np.zeros(20))
    assert (nothing.coefficients, nothing.r2) == (pytest.approx((0.0,) * 3), 0.0)


def test_a_layers_coefficients_and_those_of_all_layers_of_weight_one() -> None:
    child = net("child", mixed((0.3, A), (0.9, B), noise=0.5))
    found = recipe(child, PARENTS[:2])
    designs = []
    for row, own, a, b in zip(found.layers, child.layers, A.values(), B.values(), strict=True):
        X, y = np.stack([a, b], axis=1) / np.linalg.norm(own.whole), own.whole / np.linalg.norm(own.whole)
        assert row.fit.coefficients == pytest.approx(lsq_linear(X, y).x)
        assert (row.longname, row.sources, row.moved) == (own.longname, (own.longname,) * 2, False)
        designs.append((X, y))
    whole = lsq_linear(np.concatenate([X for X, _ in designs]), np.concatenate([y for _, y in designs]))
    assert found.fit.coefficients == pytest.approx(whole.x)
    assert found.fit.r2 == pytest.approx(1.0 - 2.0 * whole.cost / len(NAMES))
    assert found.parents == ("a", "b")


def test_layers_without_a_partner_in_every_parent() -> None:
    child = net("child", {"l.0": A["l.0"], "l.1": np.zeros(K), "x": C["l.2"]})
    short = model(layer("l.0", A["l.0"], "other"), name="short")
    odd = model(*(layer(f"o.{i}", axis(i), "o", size=(9, 9, 9)) for i in range(3)), name="odd")
    found = recipe(child, [short, odd])  # type: ignore[arg-type]
    assert [(row.longname, row.sources) for row in found.layers] == [("l.0", ("l.0", ""))]
    assert (found.kind, found.fit) == ("none", ((0.0, 0.0), (math.inf, math.inf), 0.0))
    assert recipe(child, [short]).kind == "passthrough"
    with pytest.raises(ValueError, match="at least one parent"):
        recipe(child, [])


def near(first: float, second: float) -> Wholes:
    """The first parent's layers in one half, the second's in the other, but for errors of the coefficients."""
    halves = {name: (first, second) if i < 3 else (second, first) for i, name in enumerate(NAMES)}
    return {name: a * A[name] + b * B[name] for name, (a, b) in halves.items()}


@pytest.mark.parametrize(("child", "parents", "kind"), [
    (near(1.0, 0.0), 2, "passthrough"), (near(1 + 9e-4, 9e-4), 2, "passthrough"),
    (near(1 - 9e-4, -9e-4), 2, "passthrough"),
    (near(1 + 1.1e-3, 0.0), 2, "linear by layer"), (near(1.0, 1.1e-3), 2, "linear by layer"),
    (near(-1.0, 0.0), 2, "none"),
    (mixed((1.0, A)), 1, "passthrough"), (mixed((2.0, A)), 1, "scaled"), (mixed((-0.5, A)), 1, "scaled"),
    (mixed((2.0, A), noise=1e-2), 1, "none"), (mixed((2.0, A), (1e-3, B)), 1, "scaled"), (mixed((2.0, A),
    (4e-3, B)), 1, "none"),
    (mixed((0.4, A), (0.6, B)), 2, "linear"), (mixed((0.4, A), (0.609, B)), 2, "linear"), (mixed((0.4, A),
    (0.591, B)), 2, "linear"),
    (mixed((0.4, A), (0.611, B)), 2, "scaled"), (mixed((0.4, A), (0.589, B)), 2, "scaled"),
    (mixed((0.4, A), (0.6, B), noise=0.1), 2, "linear"), (mixed((0.4, A), (-0.6, B)), 2, "scaled"),
    (drawn(7), 2, "none"),
    (mixed((0.4, A), (0.3, B), (0.3, C)), 3, "linear"), (mixed((0.4, A), (0.3, B), (0.2, C)), 3, "scaled"),
    (mixed((0.4, A), (0.3, B), (0.2, C)), 2, "none"),
])  # fmt: skip
def test_kinds(child: Wholes, parents: int, kind: str) -> None:
    assert recipe(net("child", child), PARENTS[:parents]).kind == kind


def test_linear_by_layer() -> None:
    shares = dict(zip(NAMES, (0.2, 0.3, 0.5, 0.6, 0.7, 0.8), strict=True))
    child = {name: b * A[name] + (1 - b) * B[name] for name, b in shares.items()}
    found = recipe(net("child", child), PARENTS[:2])
    assert found.kind == "linear by layer"
    assert {row.longname: row.fit.coefficients[0] for row in found.layers} == pytest.approx(shares)


@pytest.mark.parametrize(("weights", "base", "kind"), [
    ((0.3, 0.5, 0.2), "a", "task arithmetic"), ((0.3, 0.5, 0.2), "z", "linear"), ((0.3, 0.5, 0.2), None, "linear"),
    ((0.3, 0.5, 0.209), "a", "task arithmetic"), ((0.3, 0.5, 0.191), "a", "task arithmetic"),
    ((-0.9, 1.0, 0.9), "a", "task arithmetic"),
    ((0.3, 0.5, 0.211), "a", "scaled"), ((0.3, 0.5, 0.189), "a", "scaled"),
])  # fmt: skip
def test_task_arithmetic_needs_a_base(weights: tuple[float, ...], base: str | None, kind: str) -> None:
    child = net("child", mixed(*zip(weights, (A, B, C), strict=True)))
    assert recipe(child, PARENTS, base).kind == kind


def test_a_stack_is_layers_of_other_blocks() -> None:
    moved = {name: A[NAMES[max(0, i - 1)]] for i, name in enumerate(NAMES)}
    found = recipe(net("child", moved), PARENTS[:1])
    assert found.kind == "layer stack"
    assert [row.sources[0] for row in found.layers] == [NAMES[max(0, i - 1)] for i in range(6)]
    assert [row.moved for row in found.layers] == [False, *[True] * 5]


def sphere(t: float, off: float = 1.0, layers: int = 6) -> SketchedModel:
    """Shoemake's interpolation of both parents, by the angle between them, whatever their lengths; times `off`."""
    wholes = {}
    for name in NAMES[:layers]:
        a, b = A[name], B[name]
        angle = math.acos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        wholes[name] = off * (math.sin((1 - t) * angle) * a + math.sin(t * angle) * b) / math.sin(angle)
    return net("child", wholes)


@pytest.mark.parametrize(("t", "off", "layers", "kind"), [
    (0.5, 1.0, 6, "slerp"), (0.2, 1.0, 6, "slerp"), (0.5, 1.13, 6, "slerp"), (0.5, 1.14, 6, "none"),
    (0.5, 0.85, 6, "slerp"),
    (0.5, 0.84, 6, "none"), (0.5, 1.30, 1, "slerp"), (0.5, 1.31, 1, "scaled"), (0.5, 0.55, 1, "slerp"),
    (0.5, 0.53, 1, "scaled"),
    (1.2, 1.0, 1, "scaled"), (-0.2, 1.0, 1, "scaled"), (1.2, 1.0, 6, "none"),
])  # fmt: skip
def test_spherical_merges_keep_to_the_arc(t: float, off: float, layers: int, kind: str) -> None:
    """a^2 + b^2 + 2 a b cos is off^2; |off^2 - 1| may be 4 sqrt(2 / K / layers): 0.2887 of six, 0.7071 of one."""
    assert recipe(sphere(t, off, layers), PARENTS[:2]).kind == kind


def test_merges_are_found_among_candidates() -> None:
    others = [net(f"o{i}", drawn(20 + i)) for i in range(3)]
    child = net("child", mixed((0.4, A), (0.6, B), noise=1e-3))
    for order in itertools.permutations([*PARENTS[:2], others[0]]):
        found = merge(child, order)
        assert found is not None
        assert dict(zip(found.parents, found.fit.coefficients, strict=True)) == pytest.approx(
            {"a": 0.4, "b": 0.6}, abs=1e-3
        )
    three = merge(net("child", mixed((0.2, A), (0.3, B), (0.5, C))), [*others, *PARENTS])
    assert three is not None
    assert sorted(three.parents) == ["a", "b", "c"]
    assert merge(child, PARENTS[:1]) is None
    assert merge(child, []) is None
    assert merge(net("child", mixed((1.0, A), noise=0.1)), [*PARENTS, *others]) is None  # one parent explains it
    assert merge(net("child", mixed((1.2, A), (-0.2, B))), PARENTS) is None  # a difference is no merge


@pytest.mark.parametrize(("share", "merged"), [(0.021, True), (0.019, False)])
def test_a_parent_has_a_share(share: float, merged: bool) -> None:
    assert (merge(net("child", mixed((1 - share, A), (share, B))), PARENTS) is not None) == merged


def test_a_poor_relative_that_came_first_goes() -> None:
    """Of the sum of both with noise more is explained than of either alone, until both are there."""
    one, two, noise = ({name: own[name] / np.linalg.norm(own[name]) for name in NAMES} for own in (A, B, C))
    poor = net("poor", mixed((1.0, one), (1.0, two), (0.45, noise)))
    child = net("child", mixed((0.67, one), (0.33, two), noise=1e-4))
    singles = {parent.model_id: recipe(child, [parent]).fit.r2 for parent in (poor, net("a", one), net("b", two))}
    assert max(singles, key=lambda name: singles[name]) == "poor"
    found = merge(child, [net("a", one), poor, net("b", two)])
    assert found is not None
    assert sorted(found.parents) == ["a", "b"]


def test_four_parents_at_most() -> None:
    many = [net(f"p{i}", {name: w / np.linalg.norm(w) for name, w in drawn(30 + i).items()}) for i in range(6)]

    def mean(count: int) -> SketchedModel:
        return net("child", {name: sum(one.layers[i].whole for one in many[:count]) for i, name in enumerate(NAMES)})

    for count in (2, 3, 4):
        found = merge(mean(count), many)
        assert found is not None
        assert sorted(found.parents) == [f"p{i}" for i in range(count)]
    assert merge(mean(5), many) is None  # a fifth of it is not explained


@pytest.mark.parametrize(("left", "merged"), [(0.0525, True), (0.0527, False)])
def test_a_merge_leaves_a_twentieth_of_what_the_best_parent_leaves(left: float, merged: bool) -> None:
    """Of a sum of orthogonal layers of length 1 and noise of length^2 n one leaves 1 + n, both n: at most 1 / 19."""
    one, two = net("a", {"l.0": axis(0)}), net("b", {"l.0": axis(1)})
    child = net("child", {"l.0": axis(0) + axis(1) + math.sqrt(left) * axis(2)})
    assert (merge(child, [one, two]) is not None) == merged


@pytest.mark.parametrize("seed", range(5))
def test_families_are_connected_sets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"m{i}" for i in range(12)]
    related = [(names[i], names[j]) for i, j in rng.integers(12, size=(8, 2))] + [("m1", "unknown"), ("unknown", "m2")]
    sets = [{name} for name in names]
    for a, b in related[:-2]:
        joined = next(s for s in sets if a in s) | next(s for s in sets if b in s)
        sets = [s for s in sets if not s & joined] + [joined]
    found = families(related, names)
    assert {frozenset(n for n in names if found[n] == number) for number in found.values()} == set(map(frozenset, sets))
    assert list(dict.fromkeys(found.values())) == list(range(len(sets)))
