"""What `zoospectra check` can look at, one file a check, each ending in its CHECK; the table of them."""

from __future__ import annotations

from importlib import import_module

from zoospectra.jobs.checks.record import Check

CHECKS = {
    "quality": "zoospectra.jobs.checks.quality",
    "warehouse": "zoospectra.jobs.checks.warehouse",
    "integrity": "zoospectra.jobs.checks.integrity",
}
"""Name of a check, a value of `what=` -> the module that ends in its CHECK."""


def load_check(name: str) -> Check:
    """A check by its name; ValueError lists the known ones."""
    if name not in CHECKS:
        msg = f"what={name}: expected some of {', '.join(CHECKS)}"
        raise ValueError(msg)
    loaded: Check = import_module(CHECKS[name]).CHECK
    return loaded
