"""Rules on plain numbers: each at its bound, just inside and just outside of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from zoospectra.analysis.integrity import Rounded, Tensor, flaws, lacking, law_of_rounding, rounding_flaws
from zoospectra.analysis.reductions import Reductions
from zoospectra.analysis.traces import Traces, traces

PLAIN = Reductions(0.0, 0.1, 3.0, -0.4, 0.4, 0.0, 0.0, 0.0, 257, 0, 0)
WELL = Tensor("layers.0.up", "dense", 4000, (100, 40), PLAIN, 0, "h", ("f", 0))


def tensor(
    name: str = "layers.0.up", *, kind: str = "dense", shape: tuple[int, ...] = (100, 40), tail: int = 0, **plain
) -> Tensor:
    return Tensor(name, kind, math.prod(shape), shape, replace(PLAIN, **plain), tail, f"hash of {name}", (name, 0))


def holed(hole: int, lines: int, zeros: float) -> Tensor:
    return replace(tensor(zeros=zeros), traces=Traces(hole, lines, 0.0))


ALONE = {
    "well": (tensor(), None),
    "nan": (tensor(non_finite=1e-9), "non_finite"),
    "variance": (tensor("bn.running_var", kind="", min=-1e-9), "negative_variance"),
    "variance of keras": (tensor("bn/moving_variance", kind="", min=-1e-9), "negative_variance"),
    "variance of zero": (tensor("bn.running_var", kind="", min=0.0), None),
    "mean": (tensor("bn.running_mean", kind="", min=-1e-9), None),
    "nothing finite": (tensor("bn.running_var", kind="", min=None, max=None, non_finite=1.0), "non_finite"),
    "spike": (tensor(max=30.0, kurtosis=2001.0), "spike"),
    "spike below": (tensor(min=-30.0, kurtosis=2001.0), "spike"),
    "half of the moment": (tensor(max=30.0, kurtosis=2000.0), None),
    "small spike": (tensor(max=29.9, kurtosis=3999.0), None),
    "spike of no layer": (tensor("b", kind="", max=31.0, kurtosis=2001.0), "spike"),
    "spike of 1000": (tensor(shape=(25, 40), max=31.0, kurtosis=501.0), "spike"),
    "spike of few": (tensor(shape=(27, 37), max=31.0, kurtosis=501.0), None),
    "no kurtosis": (tensor(max=31.0, kurtosis=None), None),
    "no deviation": (tensor(max=31.0, kurtosis=2001.0, std=None), None),
    "zeros": (tensor(distinct=1, max=0.0, min=0.0), "all_zero"),
    "ones": (tensor(distinct=1, max=1.0, min=1.0), "constant"),
    "two values": (tensor(distinct=2, max=1.0, min=1.0), None),
    "ones of a norm": (tensor(kind="", distinct=1, max=1.0, min=1.0), None),
    "ones of 63": (tensor(shape=(9, 7), distinct=1, max=1.0, min=1.0), None),
    "ones of 64": (tensor(shape=(8, 8), distinct=1, max=1.0, min=1.0), "constant"),
    "ones of a row": (tensor(shape=(1, 64), distinct=1, max=1.0, min=1.0), None),
    "ones of a vector": (tensor(shape=(64,), distinct=1, max=1.0, min=1.0), None),
    "ones of two sides": (tensor(shape=(8, 1, 8), distinct=1, max=1.0, min=1.0), "constant"),
    "cut": (tensor(tail=200, zeros=0.05), "truncated"),
    "cut less": (tensor(tail=199, zeros=0.05), None),
    "cut of few": (tensor(shape=(10, 10), tail=63, zeros=0.63), None),
    "cut of enough": (tensor(shape=(10, 10), tail=64, zeros=0.64), "truncated"),
    "sparse": (tensor(tail=400, zeros=0.9), None),
    "dead rows": (tensor(dead_rows=25), "dead"),
    "dead columns": (tensor(dead_columns=10), "dead"),
    "some dead": (tensor(dead_rows=24, dead_columns=9), None),
    "dead of 1000": (tensor(shape=(25, 40), dead_columns=10), "dead"),
    "dead of few": (tensor(shape=(27, 37), dead_columns=20), None),
    "dead embedding": (tensor(kind="embedding", dead_rows=50), None),
    "rows in one piece": (holed(160, 4, zeros=0.04), "hole"),
    "few rows in one piece": (holed(120, 3, zeros=0.03), None),
    "words in one piece": (replace(holed(160, 4, zeros=0.04), kind="embedding"), None),
    "a piece": (holed(512, 0, zeros=0.128), "hole"),
    "a small piece": (holed(511, 0, zeros=0.128), None),
    "a piece among zeros": (holed(512, 0, zeros=0.143), None),
    "a piece of a sparse one": (holed(3600, 90, zeros=0.9), None),
    "a quarter twice": (replace(tensor(), traces=Traces(0, 0, 0.25)), "repeated"),
    "less twice": (replace(tensor(), traces=Traces(0, 0, 0.24)), None),
    "two peaks": (tensor(kurtosis=1.24), "element_type"),
    "uniform": (tensor(kurtosis=1.25), None),
    "two values, rounded": (tensor(kurtosis=1.0, distinct=256), None),
    "wild and small": (tensor("n", kind="", shape=(16,), max=1.1e8, kurtosis=15.0), "spike"),
    "wild and tiny": (tensor("n", kind="", shape=(15,), max=1.1e8, kurtosis=14.0), None),
    "large and small": (tensor("n", kind="", shape=(16,), max=1e8, kurtosis=15.0), None),
}
"""Name -> a tensor, and the reason of its only flaw."""


@pytest.mark.parametrize("name", ALONE)
def test_one_tensor(name: str) -> None:
    one, reason = ALONE[name]
    found = flaws([one])
    assert [flaw.reason for flaw in found] == ([reason] if reason else [])
    plain = one.plain
    dead = max(plain.dead_rows / one.shape[0], plain.dead_columns / one.shape[-1])
    for flaw in found:
        assert (flaw.layer, flaw.severity) == (one.name, "warning" if reason == "dead" else "error")
        assert (flaw.value, flaw.threshold) == {
            "non_finite": (plain.non_finite, 0.0), "negative_variance": (plain.min, 0.0), "dead": (dead, 0.25),
            "spike": (max(abs(plain.min or 0), abs(plain.max or 0)), None),
            "truncated": (one.tail / one.elements, 0.05), "hole": (float(one.traces.hole), None),
            "repeated": (one.traces.repeated, 0.25), "element_type": (plain.kurtosis, 1.25),
        }.get(flaw.reason, (None, None))  # fmt: skip


@pytest.mark.parametrize(("reason", "value", "words"), [
    ("truncated", 0.05, "its last 5% is zero"), ("dead", 0.25, "25% of its rows are zero"),
    ("spike", 31.0, "one value, 31,"), ("non_finite", 0.02, "2.00% of its values"),
])  # fmt: skip
def test_what_a_flaw_says(reason: str, value: float, words: str) -> None:
    one = {
        "truncated": tensor(tail=200, zeros=0.05), "dead": tensor(dead_rows=25, dead_columns=9),
        "spike": tensor(max=1.0, min=-31.0, kurtosis=3000.0), "non_finite": tensor(non_finite=0.02),
    }[reason]  # fmt: skip
    (found,) = flaws([one])
    assert (found.value, found.words.startswith(words)) == (pytest.approx(value), True)


def twin(**changes: object) -> Tensor:
    return replace(WELL, name="layers.1.up", storage=("f", 1), **changes)


@pytest.mark.parametrize(("first", "second", "flawed"), [
    (WELL, twin(), True), (WELL, twin(content_hash="other"), False), (WELL, replace(twin(), storage=("f", 0)), False),
    (WELL, replace(twin(), name="layers.1.down"), False),
    (replace(WELL, content_hash=""), twin(content_hash=""), False),
    (replace(WELL, plain=replace(PLAIN, distinct=2)), twin(plain=replace(PLAIN, distinct=2)), False),
    (replace(WELL, plain=replace(PLAIN, distinct=3)), twin(plain=replace(PLAIN, distinct=3)), True),
    (replace(WELL, elements=999), twin(elements=999), False), (replace(WELL, elements=1000), twin(elements=1000), True),
])  # fmt: skip
def test_the_same_bytes_in_two_places(first: Tensor, second: Tensor, flawed: bool) -> None:
    found = flaws([first, second])
    assert [(flaw.reason, flaw.layer, flaw.severity) for flaw in found] == (
        [("duplicate", "layers.1.up", "warning")] if flawed else []
    )


@pytest.mark.parametrize(("count", "factor", "flawed"), [
    (4, 101.0, True), (4, 1 / 101.0, True), (4, 99.0, False), (4, 1 / 99.0, False), (3, 1e6, False), (4, 0.0, False),
])  # fmt: skip
def test_a_scale_far_from_its_kind_or_family(count: int, factor: float, flawed: bool) -> None:
    rng = np.random.default_rng(0)
    stds = (0.1 * rng.uniform(0.9, 1.1, count - 1)).tolist()
    own = factor * float(np.median(stds))
    rows = [tensor(f"l{i}", std=std) for i, std in enumerate(stds)] + [
        tensor("odd", std=own),
        tensor("b", kind="conv2d"),
    ]
    found = flaws(rows)
    assert [(flaw.reason, flaw.layer) for flaw in found] == ([("scale", "odd")] if flawed else [])
    bound = 100.0 if factor > 1 else 0.01
    assert all((flaw.value, flaw.threshold) == (pytest.approx(factor), bound) for flaw in found)
    family = {("odd", 4000): [*stds, 0.0]}
    found = flaws([tensor("odd", std=own)], family)  # three models of its family are enough
    assert [flaw.reason for flaw in found] == (["family_scale"] if flawed and count == 4 else [])
    assert flaws([tensor("odd", kind="", std=own)], family) == []
    small = [replace(one, elements=999) for one in rows]
    assert flaws(small) == []
    enough = [replace(one, elements=1000) for one in rows]
    assert [flaw.reason for flaw in flaws(enough)] == (["scale"] if flawed else [])


def test_errors_come_first() -> None:
    found = flaws([tensor("a", dead_rows=25), tensor("b", non_finite=0.1)])
    assert [flaw.severity for flaw in found] == ["error", "warning"]


@pytest.mark.parametrize(
    ("dtype", "bits"), [("bfloat16", 7), ("float16", 10), ("float8_e4m3fn", 3), ("float8_e5m2", 2)]
)
def test_rounding_of_floats_keeps_to_its_law(dtype: str, bits: int) -> None:
    assert law_of_rounding(dtype, 4.0) == pytest.approx(2.0 ** -(bits + 1) / 3**0.5)
    values = np.random.default_rng(0).uniform(1, 2, 20000)
    rounded = np.round(values * 2**bits) / 2**bits
    error = np.sqrt(np.mean((rounded - values) ** 2 / values**2))
    assert 0.6 * law_of_rounding(dtype, 4.0) < error < law_of_rounding(dtype, 4.0)


@pytest.mark.parametrize(("dtype", "bits"), [
    ("int8", 8), ("uint4", 4), ("Q4_K", 4), ("q8_0", 8), ("nf4", 4), ("fp4", 4), ("4bit", 4), ("int2", 2),
])  # fmt: skip
def test_rounding_of_integers_keeps_to_its_law(dtype: str, bits: int) -> None:
    top = 4.0
    values = np.clip(np.random.default_rng(0).normal(size=50000), -top, top)
    step = top / (2 ** (bits - 1) - 1)
    error = np.sqrt(np.mean((np.round(values / step) * step - values) ** 2))
    assert law_of_rounding(dtype, top) == pytest.approx(step / 12**0.5)
    if bits > 2:
        assert error == pytest.approx(law_of_rounding(dtype, top), rel=0.02)


def test_what_rounds_nothing_has_no_law() -> None:
    assert law_of_rounding("float32", 4.0) is None


def test_errors_beyond_their_rounding_or_the_others() -> None:
    law = 2.0**-8 / 3**0.5
    layers = [Rounded(f"l{i}", "bfloat16", 0.9 * law, 4.0) for i in range(4)]
    assert rounding_flaws(layers, "source") == []
    for share, flawed in ((1.5, False), (1.51, True)):
        found = rounding_flaws([*layers, Rounded("odd", "bfloat16", share * law, 4.0)], "source")
        assert [flaw.layer for flaw in found] == (["odd"] if flawed else [])
        assert all(flaw.threshold == pytest.approx(1.5 * law) for flaw in found)
    wide = [Rounded(f"l{i}", "float32", 0.01, 4.0) for i in range(4)]
    for share, flawed in ((5.0, False), (5.1, True)):
        found = rounding_flaws([*wide, Rounded("odd", "float32", share * 0.01, 4.0)], "source")
        assert [flaw.layer for flaw in found] == (["odd"] if flawed else [])
    assert rounding_flaws([Rounded("l", "float32", 0.0, 4.0)], "source") == []
    assert rounding_flaws([], "source") == []


@pytest.mark.parametrize(
    ("last", "flawed"), [((40, 100), True), ((100, 40), False), ((50, 80), False), ((100,), False)]
)
def test_sides_exchanged(last: tuple[int, ...], flawed: bool) -> None:
    rows = [tensor(f"layers.{i}.up") for i in range(3)] + [tensor("layers.3.up", shape=last)]
    assert [(flaw.reason, flaw.layer) for flaw in flaws(rows)] == ([("shape", "layers.3.up")] if flawed else [])
    assert flaws([*rows[1:], tensor("layers.0.down", shape=(7, 9))]) == []  # three are too few


def test_a_model_of_next_to_nothing_and_scales_of_zeros() -> None:
    rows = [tensor(f"l{i}", std=1e-9) for i in range(4)]
    assert [(flaw.reason, flaw.layer, flaw.value) for flaw in flaws(rows)] == [("element_type", "all layers", 1e-9)]
    assert flaws(rows[:3]) == []
    norms = [tensor(f"{i}.norm.weight", kind="", shape=(40,)) for i in range(3)]
    zero = tensor("3.norm.weight", kind="", shape=(40,), min=0.0, max=0.0, distinct=1)
    assert [(flaw.reason, flaw.layer) for flaw in flaws([*norms, zero])] == [("all_zero", "3.norm.weight")]
    assert flaws([*norms[1:], zero]) == flaws([*norms, replace(zero, name="3.norm.bias")]) == []


def test_what_one_block_lacks() -> None:
    names = [f"model.layers.{block}.{part}" for block in range(5) for part in ("q", "k", "v", "o.weight")]
    assert lacking(names) == []
    (found,) = lacking([name for name in names if name != "model.layers.2.o.weight"])
    assert (found.severity, found.layer, found.reason) == ("error", "model.layers.2.o.weight", "missing")
    for end in ("model.layers.0.q", "model.layers.4.q"):  # the first and the last are often made otherwise
        assert lacking([name for name in names if name != end]) == []
    other = [*(name for name in names if name != "model.layers.2.o.weight"), "model.layers.2.out"]
    assert lacking(other) == lacking([name for name in names if ".q" not in name and name != "model.layers.2.k"]) == []


def test_traces_of_values() -> None:
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(60, 40))
    assert traces(whole) == traces(whole[0]) == traces(np.zeros((30, 30))) == Traces(0, 0, 0.0)
    rows, columns, page = whole.copy(), whole.copy(), whole.copy()
    rows[20:25], columns[:, 3:9], page.reshape(-1)[90:700] = 0.0, 0.0, 0.0
    assert traces(rows) == Traces(200, 5, 0.0)
    assert traces(columns) == Traces(360, 6, 0.0)
    assert traces(page) == Traces(610, 0, 0.0)
    half, other = whole.copy(), whole.copy()
    half[30:], other[:, 20:] = half[:30], other[:, :20]
    assert (traces(half).repeated, traces(other).repeated) == (0.5, 0.5)
    assert traces(half.reshape(60, 10, 2, 2)).repeated == 0.5
    assert traces(half[:, :15]).repeated == 0.0  # rows are too short to be surely the same
