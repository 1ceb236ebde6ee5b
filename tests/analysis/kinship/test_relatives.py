"""Relatives in a zoo: p-values adjusted among all pairs by scipy, rows in order, merges and copies of their parents."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from tests.analysis.kinship.sketched import layer, model
from zoospectra.analysis.kinship.candidates import Index
from zoospectra.analysis.kinship.null import null
from zoospectra.analysis.kinship.pair import compare
from zoospectra.analysis.kinship.records import SketchedModel
from zoospectra.analysis.kinship.relatives import Relative, relatives
from zoospectra.analysis.sketch import K

LAYERS = 6


def zoo() -> list[SketchedModel]:
    """Eight unrelated models, a copy of one, a fine-tune, a mix of two, a weak relative."""
    rng = np.random.default_rng(0)
    wholes = {f"m{i}": rng.normal(size=(LAYERS, K)) for i in range(8)}
    wholes["tuned"] = wholes["m0"] + 0.3 * rng.normal(size=(LAYERS, K))
    wholes["mixed"] = 0.4 * wholes["m1"] + 0.6 * wholes["m2"]
    wholes["weak"] = wholes["m3"] + 3.0 * rng.normal(size=(LAYERS, K))
    models = [
        model(*(layer(f"l.{i}", one, f"{name} {i}", std=1.0 + 0.01 * n) for i, one in enumerate(own)), name=name)
        for n, (name, own) in enumerate(wholes.items())
    ]
    return [*models, SketchedModel("copy", "r", models[1].layers)]


@pytest.fixture(scope="module")
def found() -> list[Relative]:
    return relatives(zoo(), ["m0", "m1", "mixed", "tuned", "weak"], lambda content: None)


def test_p_values_are_adjusted_among_all_pairs_of_who_was_asked_about(found: list[Relative]) -> None:
    models = zoo()
    laws, index = null(models), Index(models)
    asked = [m for m in models if m.model_id in ("m0", "m1", "mixed", "tuned", "weak")]
    kin = [compare(one, models[i], laws, lambda content: None) for one in asked for i in index.candidates(one)]
    p = [one.p_value for one in kin] + [1.0] * (5 * (len(models) - 1) - len(kin))
    assert len(kin) < len(p)
    expected = false_discovery_control(p)[: len(kin)]
    rows = [(row.kin.model.model_id, row.kin.relative.model_id, row.adjusted) for row in found]
    assert rows == [
        (one.model.model_id, one.relative.model_id, pytest.approx(value))
        for one, value in zip(kin, expected, strict=True)
    ]


def test_verdicts(found: list[Relative]) -> None:
    said = {(row.kin.model.model_id, row.kin.relative.model_id): row.verdict for row in found}
    assert said["m0", "tuned"] == said["tuned", "m0"] == "fine-tuned"
    assert said["m1", "copy"] == "copy"
    assert {pair for pair, word in said.items() if word == "merged"} == {("mixed", one) for one in ("m1", "m2", "copy")}
    kin = {
        ("m0", "tuned"),
        ("tuned", "m0"),
        ("m1", "copy"),
        ("m1", "mixed"),
        *(("mixed", m) for m in ("m1", "m2", "copy")),
    }
    assert {pair for pair, word in said.items() if word not in ("independent", "undetermined")} == kin
    evidence = {row.evidence for row in found if row.verdict == "merged"}
    (words,) = evidence
    assert words in (
        "linear: 0.6000 of m2, 0.4000 of m1; R2 1.000000",
        "linear: 0.6000 of m2, 0.4000 of copy; R2 1.000000",
    )


def test_one_model_has_no_relatives() -> None:
    assert relatives(zoo()[:1], ["m0"], lambda content: None) == []
    assert relatives(zoo(), [], lambda content: None) == []
