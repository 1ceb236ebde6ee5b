"""Kinds of studies by name: ours and those of other packages; their options, and how they refuse what means nothing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

import zoospectra.analysis.studies as registry
from zoospectra.analysis.studies import STUDIES, study
from zoospectra.analysis.studies.record import Cell, Findings, Study, among, at_least, parameters, positive


@dataclass(frozen=True, slots=True)
class Limits:
    largest: float = 6.0


@dataclass(frozen=True, slots=True)
class Options:
    model: str | None = None
    metrics: list[str] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)


OUTSIDE = Study(Options, lambda designs, options: Findings((Cell("T", "r", "c", 1.0),)), queries={"rows": "SELECT 1"})
NO_STUDY = SimpleNamespace()


@pytest.mark.parametrize("kind", STUDIES)
def test_every_kind_has_frozen_options_with_a_word_under_each(kind: str) -> None:
    found = study(kind)
    assert dataclasses.fields(found.options)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(found.options(), dataclasses.fields(found.options)[0].name, None)


def test_a_kind_from_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    here = __name__
    points = [EntryPoint("mine", f"{here}:OUTSIDE", "zoospectra.studies"), EntryPoint("not", f"{here}:NO_STUDY", "x")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "zoospectra.studies" else [])
    monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.attr])
    assert study("mine") is OUTSIDE
    with pytest.raises(ValueError, match=r"kind=nothing: expected one of natcomm2021, .*, mine, not"):
        study("nothing")
    with pytest.raises(ValueError, match="expected a Study from entry point"):
        study("not")


def test_parameters_of_a_select_are_plain_values_nested_ones_too() -> None:
    assert parameters(Options("a", ["alpha"], Limits(5.0))) == {"model": "a", "largest": 5.0}


def test_refusals_begin_with_what_was_typed() -> None:
    with pytest.raises(ValueError, match=r"^metrics=alhpa: expected some of alpha, D \(did you mean alpha\?\)$"):
        among("metrics", ["D", "alhpa"], ["alpha", "D"])
    with pytest.raises(ValueError, match=r"^profile=x: expected some of none: there are none$"):
        among("profile", ["x"], [])
    with pytest.raises(ValueError, match=r"^smallest=2: expected at least 3$"):
        at_least("smallest", 2, 3)
    with pytest.raises(ValueError, match=r"^thresholds.largest=0: expected a number above 0$"):
        positive(Limits(0))
    among("metrics", [], [])
    at_least("smallest", 3, 3)
