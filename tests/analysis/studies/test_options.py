"""Defaults and least values of every study's options: what a user gets who asks for nothing, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from zoospectra.analysis.studies import STUDIES, study

PROFILE = {"profile": None}
TARGET = {"targets": [], "datasets": [], "source_date": None}
LINES = PROFILE | TARGET | {"smallest": 4, "independent": "off"}
DEFAULTS: dict[str, dict[str, Any]] = {
    "alpha_hat": LINES | {"edges": [2.0, 4.0, 6.0]},
    "batch": LINES | {"covariates": [], "metrics": []},
    "collapse": PROFILE | {"model": None, "base": None, "claims": {}, "thresholds": {"robust_z": 3.5, "share": 0.5}},
    "contest": LINES | {"grouping": "series", "hyperparameters": [], "metrics": [], "task": None},
    "contest_audit": {"weak": 0.1, "modest": 0.3, "strong": 0.5},
    "convention": {"profiles": [], "metrics": [], "smallest": 4},
    "drift": {"since": None},
    "flow": TARGET | {"smallest": 4, "thresholds": {"largest": 6.0}},
    "health": PROFILE
    | {"model": "*", "source_date": None}
    | {"thresholds": {"largest_alpha": 6.0, "smallest_alpha": 2.0, "largest_D": 0.2, "fewest_spikes": 10}
       | {"smallest_stable_rank": 1.5, "smallest_excess": 0.02, "robust_z": 3.5}},
    "invariance": {"model": "*", "layers": 200, "factors": [0.01, 0.1, 10.0, 100.0], "fit": "weightwatcher"}
    | {"threshold": 1e-5, "threshold_relative": False, "methods": ["norms", "alpha_norms"]},
    "kin": {"smallest": 2},
    "natcomm2021": TARGET | {"smallest": 4},
    "pair": PROFILE | {"model": None, "other": None, "largest": 6.0, "smallest": 4, "shuffles": 9999, "seed": 0},
    "seeds": PROFILE
    | {"family": "series", "treatment": "noise", "member": "seed", "source_date": None, "metrics": [], "seed": 0},
    "simpson": LINES | {"groupings": [], "covariates": [], "metrics": [], "replicates": 1000, "seed": 0},
}  # fmt: skip
LEAST = {
    "smallest": {"kin": 2, "pair": 4} | dict.fromkeys(
        ("alpha_hat", "batch", "contest", "convention", "flow", "natcomm2021", "simpson"), 3
    ),
    "seed": dict.fromkeys(("pair", "seeds", "simpson"), 0),
    "shuffles": {"pair": 99},
    "replicates": {"simpson": 100},
    "layers": {"invariance": 1},
}  # fmt: skip


@pytest.mark.parametrize("kind", STUDIES)
def test_who_asks_for_nothing_gets_the_defaults(kind: str) -> None:
    assert dataclasses.asdict(study(kind).options()) == DEFAULTS[kind]


@pytest.mark.parametrize(("key", "kind", "least"), [(k, s, n) for k, each in LEAST.items() for s, n in each.items()])
def test_the_least_that_makes_sense(key: str, kind: str, least: int) -> None:
    assert getattr(study(kind).options(**{key: least}), key) == least
    with pytest.raises(ValueError, match=f"{key}={least - 1}: expected at least {least}"):
        study(kind).options(**{key: least - 1})


@pytest.mark.parametrize("kind", [kind for kind, options in DEFAULTS.items() if "source_date" in options])
def test_a_date_is_a_date(kind: str) -> None:
    assert study(kind).options(source_date="2026-11-21").source_date == "2026-11-21"
    with pytest.raises(ValueError, match="source_date=yesterday: expected a date such as 2026-11-21"):
        study(kind).options(source_date="yesterday")


@pytest.mark.parametrize(("kind", "name"), [
    (kind, name) for kind, options in DEFAULTS.items() for name in options.get("thresholds", ())
])  # fmt: skip
def test_thresholds_are_above_0(kind: str, name: str) -> None:
    options = study(kind).options
    record = type(options().thresholds)
    assert getattr(options(thresholds=record(**{name: 0.25})).thresholds, name) == 0.25
    for value in (0.0, -0.25, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"thresholds.{name}={value}: expected a number above 0"):
            options(thresholds=record(**{name: value}))
