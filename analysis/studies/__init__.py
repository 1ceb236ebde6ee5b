"""Kinds of studies: rows of design tables in, cells of tables out; pure. One study a file, imported when it is used."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from zoospectra.analysis.studies.record import Study

STUDIES: dict[str, str] = {
    "natcomm2021": "zoospectra.analysis.studies.natcomm2021",
    "contest": "zoospectra.analysis.studies.contest",
    "contest_audit": "zoospectra.analysis.studies.contest_audit",
    "simpson": "zoospectra.analysis.studies.simpson",
    "batch": "zoospectra.analysis.studies.batch",
    "seeds": "zoospectra.analysis.studies.seeds",
    "flow": "zoospectra.analysis.studies.flow",
    "collapse": "zoospectra.analysis.studies.collapse",
    "health": "zoospectra.analysis.studies.health",
    "drift": "zoospectra.analysis.studies.drift",
    "pair": "zoospectra.analysis.studies.pair",
    "convention": "zoospectra.analysis.studies.convention",
    "alpha_hat": "zoospectra.analysis.studies.alpha_hat",
    "invariance": "zoospectra.analysis.studies.invariance",
    "kin": "zoospectra.analysis.studies.kin",
}
"""Kind -> the module that ends in its STUDY."""
GROUP = "zoospectra.studies"
"""Entry points by which another package adds kinds: name -> a Study."""


def kinds() -> tuple[str, ...]:
    """Names of the kinds there are: ours, then those of installed packages."""
    return tuple(dict.fromkeys([*STUDIES, *(entry.name for entry in entry_points(group=GROUP))]))


def study(kind: str) -> Study:
    """A kind of study by name, ours first; ValueError lists the kinds there are."""
    if kind in STUDIES:
        ours: Study = import_module(STUDIES[kind]).STUDY
        return ours
    outside = {entry.name: entry for entry in entry_points(group=GROUP)}
    if kind not in outside:
        msg = f"kind={kind}: expected one of {', '.join([*STUDIES, *outside])}"
        raise ValueError(msg)
    loaded = outside[kind].load()
    if not isinstance(loaded, Study):
        msg = f"kind={kind}: expected a Study from entry point {outside[kind].value!r}, got {type(loaded).__name__}"
        raise ValueError(msg)
    return loaded
