"""The table of per-layer metrics: every method that a profile can name, with its columns, citation, needs and cost."""

from __future__ import annotations

from zoospectra.analysis.metrics import (
    alpha_norms,
    bootstrap,
    e_tpl,
    erg,
    fingers,
    gof,
    hill,
    marchenko_pastur,
    norms,
    norms_2021,
    phase,
    randomized,
    robust_alpha,
    second_opinion,
    tails,
)
from zoospectra.analysis.records import Method

METHODS: dict[str, Method] = {
    "norms": norms.METHOD,
    "norms_2021": norms_2021.METHOD,
    "alpha_norms": alpha_norms.METHOD,
    "hill": hill.METHOD,
    "robust_alpha": robust_alpha.METHOD,
    "bootstrap": bootstrap.METHOD,
    "gof": gof.METHOD,
    "tails": tails.METHOD,
    "e_tpl": e_tpl.METHOD,
    "fingers": fingers.METHOD,
    "erg": erg.METHOD,
    "marchenko_pastur": marchenko_pastur.METHOD,
    "phase": phase.METHOD,
    "randomized": randomized.METHOD,
    "second_opinion": second_opinion.METHOD,
}


def method(name: str) -> Method:
    """Look up a method by name; ValueError lists the known ones."""
    if name not in METHODS:
        msg = f"unknown method {name!r}; known methods: {', '.join(sorted(METHODS))}"
        raise ValueError(msg)
    return METHODS[name]
