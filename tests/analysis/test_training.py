"""The verdict on a network from its layers' tests, by the binomial law and at every bound."""

from __future__ import annotations

import pytest
from scipy import stats

from zoospectra.analysis.independence import Independence
from zoospectra.analysis.training import Evidence, training


def layer(p: float, *, name: str = "l", power: float = 10.0, excess: float = 0.5, lines: int = 32, **more) -> Evidence:
    """A layer whose two-sided p is this."""
    test = Independence(excess, power, p / 2, 1 - p / 2, orthogonal=False)
    return Evidence(name, lines, test, more.get("orthogonal", False), more.get("bias"), more.get("gain"))


@pytest.mark.parametrize(
    "p_values", [[0.5], [0.2, 0.009, 0.3], [0.01, 0.01, 0.9], [1e-5, 0.5, 0.5], [0.011] * 5, [1.0] * 3, [0.01] * 8]
)
def test_the_models_p_is_the_smaller_of_bonferronis_and_the_binomial_laws(p_values: list[float]) -> None:
    found = training([layer(p) for p in p_values])
    count = sum(p <= 0.01 for p in p_values)
    many = sum(stats.binom.pmf(k, len(p_values), 0.01) for k in range(count, len(p_values) + 1))
    assert found.p == pytest.approx(min(1.0, 2 * min(len(p_values) * min(p_values), many)))
    assert (found.tested, found.structured) == (len(p_values), count)


@pytest.mark.parametrize(("p_values", "verdict"), [
    ([1e-6] * 2 + [0.5] * 2, "trained"), ([1e-6] + [0.5] * 2, "partly trained"), ([5e-4], "trained"),
    ([5.1e-4], "undetermined"),
])  # fmt: skip
def test_half_of_the_layers_make_a_trained_network(p_values: list[float], verdict: str) -> None:
    assert training([layer(p, power=1.0) for p in p_values]).verdict == verdict


@pytest.mark.parametrize(("powers", "verdict"), [
    ([15.0], "untrained"), ([14.9], "undetermined"), ([12.0, 9.0], "untrained"), ([11.9, 9.0], "undetermined"),
])  # fmt: skip
def test_silence_means_untrained_only_where_something_would_be_heard(powers: list[float], verdict: str) -> None:
    assert training([layer(0.5, power=power) for power in powers]).verdict == verdict
    assert training([]).verdict == "undetermined"
    assert training([]).p == 1.0


@pytest.mark.parametrize(("biases", "moved"), [
    ([0.02, 0.02], True), ([0.02, 0.021], False), ([0.01], False), ([0.01, 0.01, 0.5], False),
    ([0.01] * 3 + [0.5], True),
    ([0.01, 0.01, None], True),
])  # fmt: skip
def test_most_biases_moved(biases: list[float | None], moved: bool) -> None:
    found = training([layer(0.5, power=20.0, bias=bias) for bias in biases])
    assert found.verdict == ("barely trained" if moved else "untrained")
    assert training([layer(1e-9, bias=bias) for bias in biases]).verdict == "trained"


def test_orthogonal_layers_and_untested_ones() -> None:
    rows = [layer(1e-9, orthogonal=True) for _ in range(3)]
    found = training([*rows, Evidence("product", 4, None, False, None, None)])
    assert (found.tested, found.orthogonal, found.structured, found.p) == (3, 3, 0, 1.0)
    assert rows[0].p == 1.0
    test = Independence(-0.5, 10.0, 1 - 1e-9, 1e-9, orthogonal=False)
    assert Evidence("narrow", 4, test, False, None, None).p == pytest.approx(2e-9)
    test = Independence(0.0, 10.0, 0.6, 0.6, orthogonal=False)
    assert Evidence("both", 4, test, False, None, None).p == 1.0


@pytest.mark.parametrize(("p", "power", "lines", "noise"), [
    (0.051, 10.0, 16, True), (0.05, 10.0, 16, None), (0.5, 10.0, 15, False), (0.5, 9.9, 16, False),
    (0.5, 6.0, 16, False),
    (0.5, 5.9, 16, None),
])  # fmt: skip
def test_a_silent_layer_of_a_trained_network(p: float, power: float, lines: int, noise: bool | None) -> None:
    others = [layer(1e-9, excess=(-1) ** i * (0.5 + i)) for i in range(11)]  # nine in ten beyond 1.5
    shift = 0.5 / 1.5
    found = training([*others, layer(p, name="odd", power=power * shift, lines=lines)])
    assert [(one.layer, one.value, one.sure) for one in found.noise] == ([] if noise is None else [("odd", p, noise)])


@pytest.mark.parametrize(("gains", "off"), [
    ([0.0, 0.1, -0.1, 2.1], {"l3": 2.05}), ([0.0, 0.0, 0.0, -2.1], {"l3": -2.1}), ([0.0, 0.0, 0.0, 2.0], {}),
    ([-5.0, -5.0, -5.0, -2.9, -7.1, -6.9], {"l3": 2.1, "l4": -2.1}), ([5.0, 5.0, 5.0, 7.0], {}),
    ([0.0, 9.0], {}), ([0.0, 0.0, 9.0], {"l2": 9.0}), ([0.0, 0.0, None, 9.0], {"l3": 9.0}),
])  # fmt: skip
def test_layers_off_the_scale(gains: list[float | None], off: dict[str, float]) -> None:
    found = training([layer(0.5, name=f"l{i}", gain=gain) for i, gain in enumerate(gains)])
    assert {one.layer: one.value for one in found.off_scale} == {
        name: pytest.approx(value) for name, value in off.items()
    }
