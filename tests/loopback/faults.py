"""Scripted faults: which request of which path goes wrong, and how."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    path: str
    """Glob on the request's path, without its query."""
    kind: str
    """'status': answer with `status` and `headers`; 'cut': close the connection after `after` bytes of the body;
    'wrong': flip the body's bytes; 'ignore_range': answer 200 with everything; 'shift_range': 206 for other bytes;
    'late_range': 206 without the first byte; 'redirect': 302 to `to`; 'drip': send `after` bytes, then one every
    `seconds`; 'length': announce `after` bytes more than are sent; 'cut_length': announce and send `after` bytes less;
    'encoding': say gzip."""
    on: frozenset[int] | None = None
    """Which matching GET requests, counted from 1; None means all."""
    status: int = 503
    """HTTP status of 'status'."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """More headers of 'status'."""
    after: int = 0
    """Bytes, see `kind`."""
    seconds: float = 0.05
    """Pause of 'drip'."""
    to: str = ""
    """Target of 'redirect'."""


KINDS = (
    "status",
    "cut",
    "wrong",
    "ignore_range",
    "shift_range",
    "late_range",
    "redirect",
    "drip",
    "length",
    "cut_length",
    "encoding",
)


class Script:
    """Faults and how often each was asked; safe to use from the server's threads."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._seen: Counter[int] = Counter()
        self._lock = threading.Lock()

    def add(self, path: str, kind: str, *on: int, **values: object) -> None:
        """One more fault, on the numbered matching requests or on all of them."""
        if kind not in KINDS:
            msg = f"unknown kind of fault {kind!r}; known: {', '.join(KINDS)}"
            raise ValueError(msg)
        with self._lock:
            self._faults.append(Fault(path, kind, frozenset(on) or None, **values))  # type: ignore[arg-type]

    def clear(self) -> None:
        """Nothing goes wrong from now on."""
        with self._lock:
            self._faults.clear()
            self._seen.clear()

    def now(self, path: str) -> Fault | None:
        """The fault of this request, the first of the script that applies; counts the request for all that match."""
        found: Fault | None = None
        with self._lock:
            for position, fault in enumerate(self._faults):
                if not fnmatchcase(path, fault.path):
                    continue
                self._seen[position] += 1
                if found is None and (fault.on is None or self._seen[position] in fault.on):
                    found = fault
        return found
