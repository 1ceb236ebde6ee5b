"""Two hundred relatives of every kind among independent nets of five architectures, all trained: the ROC of kinship.

Slow; the table of docs/kinship.md is what it prints.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.analysis.kinship.plants import KINDS, Net, record, spectrum
from zoospectra.analysis.kinship.merges import merge
from zoospectra.analysis.kinship.null import null
from zoospectra.analysis.kinship.pair import compare, verdict
from zoospectra.analysis.kinship.recipe import recipe
from zoospectra.analysis.kinship.relatives import DERIVED
from zoospectra.zoo.sources.digits.population import Recipe, TrainingSettings
from zoospectra.zoo.sources.digits.training import train

TRIALS, SEEDS = 200, 6
ARCHITECTURES = (("mlp", 4, 96), ("mlp", 6, 64), ("mlp", 5, 128), ("conv", 4, 32), ("conv", 5, 48))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def nets() -> dict[tuple[str, int, int], list[Net]]:
    held: dict[tuple[str, int, int], list[Net]] = {}
    for family, depth, width in ARCHITECTURES:
        for seed in range(SEEDS):
            made = train(Recipe(family, depth, width, 1.0, 0.05, 32, 3, 0.0, seed), TrainingSettings()).tensors
            weights = {name.removesuffix(".weight"): W for name, W in made.items() if W.ndim > 1}
            held.setdefault((family, depth, width), []).append(weights)
    return held


def test_detection_and_false_positives(nets: dict[tuple[str, int, int], list[Net]], capsys) -> None:
    rng = np.random.default_rng(0)
    models = {shape: [record(f"{shape}{i}", net) for i, net in enumerate(own)] for shape, own in nets.items()}
    laws = null([model for own in models.values() for model in own])
    tested = sum(map(len, models.values()))
    scores: dict[str, list[float]] = {}
    unrelated = []
    called = 0
    right: dict[str, int] = {}
    detected: dict[str, int] = {}
    for kind, (make, expected) in KINDS.items():
        for trial in range(TRIALS):
            shape = ARCHITECTURES[trial % len(ARCHITECTURES)]
            parent = int(rng.integers(SEEDS))
            child = record("child", make(nets[shape][parent], rng))
            kin = compare(child, models[shape][parent], laws, spectrum)
            word, _ = verdict(kin, min(1.0, kin.p_value * tested))
            detected[kind] = detected.get(kind, 0) + (word in DERIVED)
            right[kind] = right.get(kind, 0) + (word in expected)
            scores.setdefault(kind, []).append(kin.p_value)
            other = compare(child, models[shape][(parent + 1) % SEEDS], laws, spectrum)
            unrelated.append(other.p_value)
            called += verdict(other, min(1.0, other.p_value * tested))[0] in DERIVED
    for own in models.values():
        for i, model in enumerate(own):
            for j, other in enumerate(own):
                if i != j:
                    kin = compare(model, other, laws, spectrum)
                    unrelated.append(kin.p_value)
                    called += verdict(kin, min(1.0, kin.p_value * tested))[0] in DERIVED
    with capsys.disabled():
        print(f"\nfalse positives: {called} of {len(unrelated)}; smallest p of unrelated {min(unrelated):.2g}")
        for kind, values in scores.items():
            bounds = [np.quantile(unrelated, share) for share in (0.001, 0.01, 0.05)]
            roc = [f"{np.mean(np.array(values) < bound):.3f}" for bound in bounds]
            print(f"| {kind} | {detected[kind] / TRIALS:.1%} | {right[kind] / TRIALS:.1%} | {' | '.join(roc)} |")
    assert called <= 0.01 * len(unrelated)
    assert all(count >= 0.99 * TRIALS for count in detected.values()), detected
    assert all(count >= 0.9 * TRIALS for count in right.values()), right


def test_weights_of_merges(nets: dict[tuple[str, int, int], list[Net]], capsys) -> None:
    rng = np.random.default_rng(1)
    worst = {"linear": 0.0, "task arithmetic": 0.0}
    seen = 0
    for trial in range(TRIALS):
        shape = ARCHITECTURES[trial % len(ARCHITECTURES)]
        first, second, third = (nets[shape][i] for i in rng.permutation(SEEDS)[:3])
        share = float(rng.uniform(0.1, 0.9))
        mixed = {k: (share * first[k] + (1 - share) * second[k]).astype(np.float16).astype(np.float32) for k in first}
        parents = [record(name, net) for name, net in (("a", first), ("b", second), ("c", third))]
        found = merge(record("mixed", mixed), parents)
        if found is not None and set(found.parents) == {"a", "b"}:
            seen += 1
            weights = dict(zip(found.parents, found.fit.coefficients, strict=True))
            worst["linear"] = max(worst["linear"], abs(weights["a"] - share), abs(weights["b"] - 1 + share))
        base = first
        tasks = [{k: W + 0.2 * W.std() * rng.normal(size=W.shape) for k, W in base.items()} for _ in range(2)]
        scales = rng.uniform(0.2, 1.0, size=2)
        made = {
            k: (W + scales[0] * (tasks[0][k] - W) + scales[1] * (tasks[1][k] - W)).astype(np.float16).astype(np.float32)
            for k, W in base.items()
        }
        named = [("base", base), ("one", tasks[0]), ("two", tasks[1])]
        held = [record(name, {k: np.asarray(W, np.float32) for k, W in net.items()}) for name, net in named]
        result = recipe(record("made", made), held, base="base")
        assert result.kind == "task arithmetic"
        error = max(abs(result.fit.coefficients[1] - scales[0]), abs(result.fit.coefficients[2] - scales[1]))
        worst["task arithmetic"] = max(worst["task arithmetic"], float(error))
    with capsys.disabled():
        print(f"\nmerges seen without being named: {seen} of {TRIALS}; largest errors of weights: {worst}")
    assert seen >= 0.99 * TRIALS
    assert max(worst.values()) < 0.005


def slerp(first: np.ndarray, second: np.ndarray, t: float) -> tuple[np.ndarray, float, float]:
    """Spherical interpolation of two tensors as mergekit does it (Shoemake 1985), as float16; and both weights."""
    a, b = (W.astype(np.float64).ravel() for W in (first, second))
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    one, other = np.sin((1 - t) * angle) / np.sin(angle), np.sin(t * angle) / np.sin(angle)
    return (one * first + other * second).astype(np.float16).astype(np.float32), one, other


def test_spherical_merges_are_called_so(nets: dict[tuple[str, int, int], list[Net]], capsys) -> None:
    rng = np.random.default_rng(3)
    right, worst = 0, 0.0
    for trial in range(TRIALS):
        shape = ARCHITECTURES[trial % len(ARCHITECTURES)]
        first, second = (nets[shape][i] for i in rng.permutation(SEEDS)[:2])
        t = float(rng.uniform(0.2, 0.8))
        made = {name: slerp(first[name], second[name], t) for name in first}
        result = recipe(
            record("made", {name: W for name, (W, _, _) in made.items()}), [record("a", first), record("b", second)]
        )
        right += result.kind == "slerp"
        for layer in result.layers:
            found, expected = np.array(layer.fit.coefficients), np.array(made[layer.longname][1:])
            worst = max(worst, float(np.abs(found - expected).max()))
    with capsys.disabled():
        print(f"\nspherical merges called so: {right} of {TRIALS}; largest error of a layer's weights: {worst:.2g}")
    assert right >= 0.99 * TRIALS
    assert worst < 0.005


def test_layers_taken_whole_are_exact(nets: dict[tuple[str, int, int], list[Net]]) -> None:
    rng = np.random.default_rng(2)
    for trial in range(TRIALS):
        shape = ARCHITECTURES[trial % len(ARCHITECTURES)]
        first, second = (nets[shape][i] for i in rng.permutation(SEEDS)[:2])
        taken = {name: bool(rng.integers(2)) for name in first}
        taken |= {next(iter(first)): True, list(first)[-1]: False}
        child = {name: first[name] if own else second[name] for name, own in taken.items()}
        result = recipe(record("child", child), [record("a", first), record("b", second)])
        assert result.kind == "passthrough"
        for layer in result.layers:
            assert layer.fit.coefficients == pytest.approx(
                (1.0, 0.0) if taken[layer.longname] else (0.0, 1.0), abs=1e-9
            )
