"""Profiles by name: values of conf/profile, and of --config-dir, checked by the analysis room."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from zoospectra.analysis.profile import Profile
from zoospectra.jobs.words.command import Configuration
from zoospectra.jobs.words.fit import FitSettings


def load_profiles(
    names: Sequence[str], configuration: Configuration | None = None, engine: str = "own"
) -> tuple[Profile, ...]:
    """Profiles of these names, each once; ValueError when there is none, or a value is not as its field expects.

    With engine 'powerlaw' each becomes '<name>+powerlaw': the same, with the package's fit as further columns.
    """
    if not names:
        msg = "profiles=[]: expected at least one name, such as weightwatcher"
        raise ValueError(msg)
    files = configuration or Configuration()
    profiles = tuple(Profile.from_mapping(files.group("profile", name)) for name in dict.fromkeys(names))
    if FitSettings(engine).engine == "own":
        return profiles
    return tuple(
        dataclasses.replace(profile, name=f"{profile.name}+powerlaw", methods=(*profile.methods, "second_opinion"))
        for profile in profiles
    )
