"""What else people make of a model has a verdict that is true of it, beside unrelated models and many relatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import ml_dtypes
import numpy as np
import pytest

from tests.analysis.kinship.plants import Net, integers, record, spectrum
from zoospectra.analysis.kinship.relatives import DERIVED, relatives

SIDE, INNER, BLOCKS = 64, 160, 4


@cache
def net(seed: int) -> Net:
    """An embedding, and two square and two oblong layers a block, heavy-tailed."""
    rng = np.random.default_rng(seed)
    shapes = {"q": (SIDE, SIDE), "o": (SIDE, SIDE), "up": (INNER, SIDE), "down": (SIDE, INNER)}
    held = {"embed": (96, SIDE)} | {f"layers.{b}.{n}": shape for b in range(BLOCKS) for n, shape in shapes.items()}
    return {name: (rng.standard_t(5, size=shape) * 0.05).astype(np.float32) for name, shape in held.items()}


def mixed(*shares: float) -> Net:
    return {name: sum(b * net(i)[name] for i, b in enumerate(shares)).astype(np.float32) for name in net(0)}


def noisy(weights: Net, size: float, seed: int = 9) -> Net:
    rng = np.random.default_rng(seed)
    return {k: (W + size * W.std() * rng.normal(size=W.shape)).astype(np.float32) for k, W in weights.items()}


def blocks(*sources: int) -> Net:
    """The embedding, and these blocks in this order."""
    order = {f"layers.{b}.": f"layers.{place}." for place, b in enumerate(sources)}
    kept = {name: W for name, W in net(0).items() if name == "embed" or name[:9] in order}
    return {name.replace(name[:9], order.get(name[:9], name[:9])): W for name, W in kept.items()}


def extended(rows: int) -> Net:
    more = np.random.default_rng(3).normal(size=(rows, SIDE)).astype(np.float32)
    return net(0) | {"embed": np.concatenate([net(0)["embed"], more])}


def permuted(weights: Net) -> Net:
    """Every hidden unit and every direction of the residual stream in another order."""
    rng = np.random.default_rng(4)
    stream, turned = rng.permutation(SIDE), {}
    for name, W in weights.items():
        if name.endswith((".o", ".down")):
            turned[name] = W[stream]
        else:
            turned[name] = W[:, stream]
    for b in range(BLOCKS):
        order = rng.permutation(INNER)
        up, down = f"layers.{b}.up", f"layers.{b}.down"
        turned |= {up: turned[up][order], down: turned[down][:, order]}
    return {name: np.ascontiguousarray(W) for name, W in turned.items()}


def stored(weights: Net, dtype: type) -> Net:
    return {name: W.astype(dtype) for name, W in weights.items()}


def without_embedding() -> Net:
    return {name: W for name, W in net(0).items() if name != "embed"}


def halves() -> Net:
    return {name: net(i % 2)[name] for i, name in enumerate(net(0))}


MEMBERS: dict[str, tuple[Callable[[], Net], dict[str, str], str]] = {
    "vocabulary extended": (lambda: extended(32), {"net0": "fine-tuned"}, "1 have no partner of their size: embed"),
    "without its last block": (lambda: blocks(0, 1, 2), {"net0": "merged"}, "it lacks 4"),
    "without its first block": (lambda: blocks(1, 2, 3), {"net0": "merged"}, "12 of 13 layers moved"),
    "without embedding": (without_embedding, {"net0": "copy"}, "not in it: embed"),
    "as float64": (lambda: stored(net(0), np.float64), {"net0": "copy"}, "stored as other types"),
    "doubled": (lambda: {k: 2 * W for k, W in net(0).items()}, {"net0": "fine-tuned"}, "all are 2 times"),
    "int8, then trained": (lambda: noisy(integers(8)(net(0), None), 0.1), {"net0": "fine-tuned"}, "17 layers"),
    "trained, then int8": (lambda: integers(8)(noisy(net(0), 0.1), None), {"net0": "fine-tuned"}, "17 layers"),
    "int8": (lambda: integers(8)(net(0), None), {"net0": "quantised"}, "17 layers"),
    "int4": (lambda: integers(4)(net(0), None), {"net0": "quantised"}, "17 layers"),
    "permuted, bfloat16": (
        lambda: stored(permuted(net(0)), ml_dtypes.bfloat16), {"net0": "permuted copy"}, "layers"
    ),
    "sign flipped": (lambda: {k: -W for k, W in net(0).items()}, {"net0": "permuted copy"}, "17 layers"),
    "every second layer": (halves, {"net0": "merged", "net1": "merged"}, "9 are those of net0, 8 are those of net1"),
    "of three": (lambda: mixed(0.5, 0.3, 0.2), dict.fromkeys(("net0", "net1", "net2"), "merged"), "0.2000 of net2"),
    "a little of another": (lambda: mixed(0.95, 0.05), {"net0": "merged", "net1": "merged"}, "0.0500 of net1"),
}  # fmt: skip


@pytest.mark.parametrize("name", MEMBERS)
def test_what_is_made_of_a_model_has_a_true_verdict(name: str) -> None:
    make, expected, words = MEMBERS[name]
    models = [record(f"net{seed}", net(seed)) for seed in range(6)]
    rows = relatives([*models, record("made", make())], {"made"}, spectrum)
    verdicts = {row.kin.relative.model_id: row.verdict for row in rows if row.verdict in DERIVED}
    assert verdicts == expected
    assert all(words in row.evidence for row in rows if row.kin.relative.model_id in expected), rows[0].evidence


def test_rows_too_short_to_repeat_hide_no_rounding() -> None:
    first = {"first": np.random.default_rng(1).normal(size=(48, 1, 3, 3)).astype(np.float32)}
    models = [record(f"net{seed}", net(seed) | first) for seed in range(6)]
    for bits in (4, 8):
        made = integers(bits)(net(0) | first, np.random.default_rng(0))
        best = max(
            relatives([*models, record("made", made)], {"made"}, spectrum), key=lambda row: row.kin.cosine or 0.0
        )
        assert (best.kin.relative.model_id, best.verdict) == ("net0", "quantised")


def test_relatives_do_not_hide_the_other_parent_of_a_merge() -> None:
    """Of one parent there are more fine-tunes than candidates."""
    models = [record(f"net{seed}", net(seed)) for seed in range(6)]
    models += [record(f"tuned{seed}", noisy(net(0), 0.1, seed)) for seed in range(25)]
    rows = relatives([*models, record("made", mixed(0.6, 0.4))], {"made"}, spectrum)
    merged = {row.kin.relative.model_id: row.evidence for row in rows if row.verdict == "merged"}
    assert set(merged) == {"net0", "net1"}
    assert "0.6000 of net0" in merged["net1"]
    assert "0.4000 of net1" in merged["net1"]


def test_models_of_unrelated_values_are_not_related() -> None:
    rng = np.random.default_rng(5)
    models = [record(f"net{seed}", net(seed)) for seed in range(6)]
    shuffled = {k: rng.permutation(W.ravel()).reshape(W.shape) for k, W in net(0).items()}
    alike = {k: (rng.normal(size=W.shape) * W.std()).astype(np.float32) for k, W in net(0).items()}
    for made in (shuffled, alike, noisy(net(0), 12.0)):
        rows = relatives([*models, record("made", made)], {"made"}, spectrum)
        assert not [row for row in rows if row.verdict in DERIVED]
