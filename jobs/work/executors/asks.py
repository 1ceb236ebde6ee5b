"""What a user may ask of nodes: custom resources and labels, as Ray takes them. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

LEAST = 1e-4
"""The smallest share of a resource that Ray counts."""
OWN = {
    "CPU": "the plan asks for CPUs",
    "GPU": "use cluster.device=cuda",
    "memory": "the plan asks for memory",
    "object_store_memory": "no weights pass through it",
}
"""Resources that are no custom ones, and what to do instead."""
WORD = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
NAME, VALUE = re.compile(rf"(?:[-A-Za-z0-9_.]+/)?{WORD}"), re.compile(WORD)
NODE_ID = "ray.io/node-id"
"""Label that Ray gives every node; which nodes work is decided by the handshake."""


def check_resources(resources: Mapping[str, float]) -> None:
    """ValueError for a resource that no task can ask for."""
    for name, amount in resources.items():
        if name in OWN or not name:
            msg = f"resources.{name}: expected the name of a custom resource, as of 'ray start --resources'"
            raise ValueError(f"{msg}; {OWN[name]}" if name else msg)
        if not LEAST <= amount < math.inf:
            msg = f"resources.{name}={amount:g}: expected a finite number of at least {LEAST:g}"
            raise ValueError(msg)


def check_labels(labels: Mapping[str, str]) -> None:
    """ValueError for a label that no node can have, or that is not for users."""
    for name, value in labels.items():
        if not NAME.fullmatch(name) or name == NODE_ID:
            msg = f"labels.{name}: expected a name of at most 63 letters, digits and -_. as of 'ray start --labels'"
            raise ValueError(msg)
        if not VALUE.fullmatch(value):
            msg = f"labels.{name}={value}: expected a value of at most 63 letters, digits and -_."
            raise ValueError(msg)
