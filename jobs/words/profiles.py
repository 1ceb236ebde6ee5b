"""Profiles by name: values of conf/profile (and of --config-dir), checked by the analysis room."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from zoospectra.analysis.profile import Profile
from zoospectra.jobs.words.command import named

ENGINES = ("own", "powerlaw")
"""Who fits: our search, or our search with the `powerlaw` package's fit beside it."""


def load_profiles(names: Sequence[str], words: Sequence[str] = (), engine: str = "own") -> tuple[Profile, ...]:
    """Profiles of these names, each once; ValueError when there is none, or a value does not fit.

    With engine 'powerlaw' each becomes '<name>+powerlaw': the same, with the package's fit as further columns.
    """
    if not names:
        msg = "profiles=[]: expected at least one name, such as weightwatcher"
        raise ValueError(msg)
    if engine not in ENGINES:
        msg = f"unknown fit.engine {engine!r}: expected one of {', '.join(ENGINES)}"
        raise ValueError(msg)
    found = tuple(Profile.from_mapping(named("profile", name, words)) for name in dict.fromkeys(names))
    if engine == "own":
        return found
    return tuple(
        dataclasses.replace(one, name=f"{one.name}+powerlaw", methods=(*one.methods, "second_opinion")) for one in found
    )
