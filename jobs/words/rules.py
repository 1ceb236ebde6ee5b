"""A file of rules about tensors: what a user knows better than ours, see zoo.layers.rules."""

from __future__ import annotations

from zoospectra.jobs.words.command import read_yaml
from zoospectra.zoo.layers.rules import NO_RULES, Rules, rules_from


def load_rules(path: str | None, key: str) -> Rules:
    """Rules of a YAML file, none without one; ValueError, beginning with `key=`, for what is not understood."""
    if path is None:
        return NO_RULES
    try:
        return rules_from(read_yaml(path), path)
    except ValueError as error:
        msg = f"{key}={path}: {error}"
        raise ValueError(msg) from error
