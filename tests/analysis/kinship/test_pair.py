"""Two models: likeness of layers at every bound, p-values by scipy's normal law, verdicts one by one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.analysis.kinship.sketched import WIDE, axis, layer, model, towards
from zoospectra.analysis.kinship.match import Pair
from zoospectra.analysis.kinship.null import Law
from zoospectra.analysis.kinship.pair import Kin, Likeness, compare, verdict
from zoospectra.analysis.kinship.records import Size, SketchedLayer
from zoospectra.analysis.sketch import K

SHORT = Size(64, 30, 30)
"""Margins of 30 numbers: 4 deviations of their cosines are 0.885."""


def alike(mine: SketchedLayer, yours: SketchedLayer, spectra: dict[str, list[float]] | None = None) -> Likeness:
    held = {name: np.array(values) for name, values in (spectra or {}).items()}
    return compare(model(mine), model(yours), {}, held.get).layers[0]


def test_cosines_and_distances() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, K)) + 1.0
    found = alike(layer(whole=a), layer(whole=b, content="b"))
    assert found[1:] == (
        pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b)),
        pytest.approx(np.linalg.norm(a - b) / np.linalg.norm(b)),
        "",
    )
    assert alike(layer(whole=a), layer(whole=b))[1:] == (1.0, 0.0, "bytes")
    nothing = layer(whole=np.zeros(K), content="b")
    assert alike(layer(), nothing)[1:] == (0.0, math.inf, "")
    assert alike(nothing, layer())[1:] == (0.0, 1.0, "")
    faint = layer(whole=1e-3 * axis(0), content="b")  # lengths far from 1
    assert alike(faint, replace(faint, content_hash="c")).cosine == pytest.approx(1.0)


@pytest.mark.parametrize(("cosine", "std", "mine", "yours", "same"), [
    (0.0, 1.0, [1.0, 2.0], [2.0, 1.0], True), (0.49, 1.0, [1.0, 2.0], [1.0, 2.0], True),
    (0.5, 1.0, [1.0, 2.0], [1.0, 2.0], False), (-0.9, 1.0, [1.0, 2.0], [1.0, 2.0], True),
    (0.0, 1 + 0.9e-4, [1.0, 2.0], [1.0, 2.0], True), (0.0, 1 + 1.1e-4, [1.0, 2.0], [1.0, 2.0], False),
    (0.0, 1 - 0.9e-4, [1.0, 2.0], [1.0, 2.0], True), (0.0, 1 - 1.1e-4, [1.0, 2.0], [1.0, 2.0], False),
    (0.0, 1.0, [1.0, 200.0], [1.0 + 1.9e-4, 200.0], True), (0.0, 1.0, [1.0, 200.0], [1.0 + 2.1e-4, 200.0], False),
    (0.0, 1.0, [0.0, 2.0 - 1.9e-6], [0.0, 2.0], True), (0.0, 1.0, [0.0, 2.0], [0.0, 2.0 - 1.9e-6], True),
    (0.0, 1.0, [0.0, 1.0], [1.0], False), (0.0, 1.0, [], [], False), (0.0, 1.0, None, [1.0], False),
    (0.0, 1.0, [1.0], None, False), (0.0, 1.0, [0.0, 0.0], [0.0, 0.0], True),
])  # fmt: skip
def test_another_order_by_spectra(
    cosine: float, std: float, mine: list[float] | None, yours: list[float] | None, same: bool
) -> None:
    whole = axis(0) + axis(1) + axis(2) + axis(3) if cosine == 0.5 else towards(cosine)  # exactly a half
    spectra = {name: values for name, values in (("a", mine), ("b", yours)) if values is not None}
    found = alike(layer(std=std), layer(whole=whole, content="b"), spectra)
    assert (found.same, found.cosine) == (("spectrum", 1.0) if same else ("", pytest.approx(cosine)))
    assert found.distance == pytest.approx(np.linalg.norm(axis(0) - whole) / np.linalg.norm(whole))


def test_two_layers_of_zeros_are_one_spectrum() -> None:
    nothing = layer(whole=np.zeros(K), std=0.0)
    found = alike(nothing, replace(nothing, content_hash="b"), {"a": [0.0], "b": [0.0]})
    assert (found.same, found.cosine) == ("values", 1.0)


@pytest.mark.parametrize(("size", "columns", "rows", "std", "expected"), [
    (WIDE, 0.81, None, 1.0, 0.81), (WIDE, None, 0.81, 1.0, 0.81), (WIDE, 0.9, 0.81, 1.0, 0.9),
    (WIDE, 0.1, 0.9, 1.0, 0.9),
    (WIDE, 0.79, 0.79, 1.0, None), (WIDE, None, None, 1.0, None), (WIDE, 0.9, None, 1.009, 0.9),
    (WIDE, 0.9, None, 1.011, None),
    (WIDE, 0.9, None, 0.991, 0.9), (WIDE, 0.9, None, 0.989, None), (SHORT, 0.88, None, 1.0, None),
    (SHORT, 0.89, None, 1.0, 0.89),
    (WIDE, 0.9, None, 0.0, 0.9),
])  # fmt: skip
def test_another_order_by_margins(
    size: Size, columns: float | None, rows: float | None, std: float, expected: float | None
) -> None:
    mine = {name: None if cosine is None else axis(0) for name, cosine in (("columns", columns), ("rows", rows))}
    yours = {
        name: None if cosine is None else towards(cosine) for name, cosine in (("columns", columns), ("rows", rows))
    }
    one = layer(size=size, std=std, **mine)
    found = alike(one, layer(whole=towards(0.1), content="b", size=size, std=float(std > 0), **yours))
    assert (found.same, found.cosine) == (("order", pytest.approx(expected)) if expected else ("", pytest.approx(0.1)))
    other = replace(one, whole=towards(0.1), content_hash="b", columns=None, rows=axis(0))
    assert alike(replace(one, columns=axis(0), rows=None), other).same == ""  # nothing to compare


def test_the_p_value_is_that_of_the_sum_of_cosines() -> None:
    cosines = (0.6, -0.2, 0.05)
    other = Size(100, 10, 10)
    mine = [layer(f"l.{i}", size=other if i == 2 else WIDE, content=f"a{i}") for i in range(3)]
    yours = [replace(one, whole=towards(c), content_hash=f"b{c}") for one, c in zip(mine, cosines, strict=True)]
    laws = {WIDE: Law(0.1, 0.2)}
    kin = compare(model(*mine), model(*yours), laws, lambda content: None)
    own = 1 / K + 1 / 100
    z = (sum(cosines) - 0.2) / math.sqrt(2 * 0.2**2 + own)
    assert kin.p_value == pytest.approx(3 * stats.norm.sf(z))
    assert kin.upper == pytest.approx((sum(cosines) + 3 * math.sqrt(2 * 0.2**2 + own)) / 3)
    assert (kin.cosine, kin.distance) == (pytest.approx(0.05), pytest.approx(math.sqrt(2 - 2 * 0.05)))
    assert compare(model(*mine), model(*yours[:1]), {WIDE: Law(0.9, 0.1)}, lambda content: None).p_value == 1.0
    nothing = compare(model(*mine[:2]), model(yours[2]), laws, lambda content: None)
    assert (nothing.layers, nothing.p_value, nothing.upper) == ((), 1.0, 1.0)
    assert (nothing.cosine, nothing.distance, nothing.share("bytes")) == (None, None, 0.0)


def likeness(name: str, cosine: float = 0.9, distance: float = 0.1, same: str = "", **more: object) -> Likeness:
    mine = layer(name)
    yours = layer(str(more.pop("of", name)), content="b")
    mine = replace(mine, repeats=more.pop("repeats", 0.0), dtype=more.pop("dtype", "float32"))
    mine = replace(mine, zeros=more.pop("zeros", 0.0))
    yours = replace(yours, repeats=more.pop("their_repeats", 0.0), dtype=more.pop("their_dtype", "float32"))
    assert not more
    return Likeness(Pair(mine, yours, "name"), cosine, distance, same)


def said(*layers: Likeness, adjusted: float = 0.0099, upper: float = 1.0, unmatched: int = 0) -> tuple[str, str]:
    own = model(*(one.pair.layer for one in layers), *(layer(f"more {i}") for i in range(unmatched)))
    return verdict(Kin(own, model(), layers, 0.0, upper), adjusted)


def test_verdicts_without_kinship() -> None:
    one = likeness("l", 0.2)
    assert said() == ("undetermined", "no layers of equal size")
    assert said(one, adjusted=0.01, upper=0.49) == ("independent", "1 layers; least alike l: cosine 0.200")
    assert said(one, adjusted=0.01, upper=0.5)[0] == "undetermined"
    word, why = said(one)
    assert (word, why.startswith("few layers alike"), why.endswith("l: cosine 0.200")) == ("undetermined", True, True)
    assert said(likeness("l", 0.3))[0] == "fine-tuned"
    few = [likeness(f"l{i}", 0.1) for i in range(7)]
    for same in ("bytes", "spectrum"):
        assert said(*few, *(likeness(f"s{i}", 1.0, same=same) for i in range(3)))[0] != "undetermined"
        assert said(*few, few[0], *(likeness(f"s{i}", 1.0, same=same) for i in range(3)))[0] == "undetermined"
    assert said(*few, *(likeness(f"s{i}", 1.0, same="order") for i in range(3)))[0] == "undetermined"


def test_copies_and_stacks() -> None:
    same = [likeness(f"l.{i}", 1.0, 0.0, "bytes") for i in range(5)]
    assert said(*same) == ("copy", "all 5 layers have the same bytes")
    assert said(*same, unmatched=1) == (
        "fine-tuned",
        "all 5 layers that both have are the same, 1 have no partner of their size: more 0",
    )
    as_values = [one._replace(same="values") for one in same]
    assert said(*as_values) == ("copy", "all 5 layers have the same values to float32, stored as other types")
    moved = [likeness(f"l.{i}", 1.0, 0.0, "bytes", of=f"l.{max(0, i - 1)}") for i in range(5)]
    words = "layer stack: 4 of 5 layers moved: l.1 is l.0, l.2 is l.1, l.3 is l.2"
    assert said(*moved) == ("merged", words)


def test_permuted_copies_are_half_of_what_changed() -> None:
    same, turned = likeness("s", 1.0, 0.0, "bytes"), likeness("t", 0.95, same="order")
    other = likeness("o", 0.9)
    assert said(same, turned, other) == ("permuted copy", "1 layers; least alike t: cosine 0.950")
    assert said(same, turned, other, other) == (
        "fine-tuned",
        "3 layers; least alike o: cosine 0.900, o: cosine 0.900, t: cosine 0.950",
    )


@pytest.mark.parametrize(("layers", "quantised"), [
    ([{"distance": 6e-4}], True), ([{"distance": 6.1e-4}], False), ([{"distance": 6e-4}, {"distance": 7e-4}], False),
    ([{"repeats": 0.016, "distance": 0.002}], True), ([{"repeats": 0.015, "distance": 0.002}], False),
    ([{"their_repeats": 0.016, "distance": 0.002}], True),
    ([{"repeats": 0.5, "their_repeats": 0.49, "distance": 0.08}], False),
    ([{"repeats": 0.05, "distance": 0.002}], True), ([{"repeats": 0.05, "distance": 0.0021}], False),
    ([{"repeats": 0.2, "distance": 0.012}], True), ([{"repeats": 0.2, "distance": 0.0121}], False),
    ([{"repeats": 0.35, "distance": 0.03}], True), ([{"repeats": 0.35, "distance": 0.031}], False),
    ([{"repeats": 0.5, "distance": 0.08}], True), ([{"repeats": 0.5, "distance": 0.081}], False),
    ([{"repeats": 0.65, "distance": 0.15}], True), ([{"repeats": 0.65, "distance": 0.151}], False),
    ([{"repeats": 0.9, "distance": 0.3}], True), ([{"repeats": 0.9, "distance": 0.301}], False),
    ([{"repeats": 0.4, "zeros": 0.5, "distance": 0.3}], True), ([{"repeats": 0.4, "distance": 0.3}], False),
    ([{"repeats": 0.5, "distance": 0.08}, {"distance": 0.002}], True),
    ([{"repeats": 0.5, "distance": 0.08}, *[{"distance": 0.002}] * 2], False),
    ([*[{"repeats": 0.5, "distance": 0.08}] * 2, {"repeats": 0.5, "distance": 0.16}], True),
    ([*[{"repeats": 0.5, "distance": 0.08}] * 2, {"repeats": 0.5, "distance": 0.161}], False),
    ([{"repeats": 0.5, "distance": 0.08}, *[{"repeats": 0.5, "distance": 0.09}] * 2], False),
    ([{"repeats": 0.5, "distance": 0.003, "dtype": "bfloat16"}], True),
    ([{"repeats": 0.5, "distance": 0.0031, "dtype": "bfloat16"}], False),
    ([{"repeats": 0.5, "distance": 0.001, "dtype": "float16"}], True),
    ([{"repeats": 0.5, "distance": 0.0011, "dtype": "float16"}], False),
    ([{"repeats": 0.5, "distance": 0.04, "dtype": "float8_e4m3fn"}], True),
    ([{"repeats": 0.5, "distance": 0.041, "dtype": "float8_e4m3fn"}], False),
    ([{"repeats": 0.5, "distance": 0.08, "dtype": "float8_e5m2"}], True),
    ([{"repeats": 0.5, "distance": 0.081, "dtype": "q4_0"}], True),
    ([{"repeats": 0.5, "distance": 0.111, "dtype": "q4_0"}], False),
    ([{"their_repeats": 0.5, "distance": 0.003, "their_dtype": "bfloat16", "dtype": "float16"}], True),
    ([{"their_repeats": 0.6, "distance": 0.15, "their_dtype": "int8", "dtype": "float16"}], True),
    ([{"same": "order"}, *[{"repeats": 0.5, "distance": 0.07}] * 2, {"distance": 0.31}], False),
    ([{"same": "order", "distance": 9.0}, *[{"repeats": 0.5, "distance": 0.07}] * 2], True),
])  # fmt: skip
def test_quantised_is_no_more_than_rounding_explains(layers: list[dict], quantised: bool) -> None:
    found = said(*(likeness(f"l{i}", **one) for i, one in enumerate(layers)), likeness("s", 1.0, 0.0, "bytes"))
    assert found[0] == ("quantised" if quantised else "fine-tuned")
    assert found[1].startswith(f"{len(layers)} layers; least alike ")
