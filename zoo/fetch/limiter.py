"""One limiter for all processes of a node: rate, simultaneous requests, pauses that servers ask for, bytes a day.

State lies in small files under the cache folder, each behind a file lock that dies with its process. Clocks are wall
clocks: a jump of the clock costs at most one pause. Not covered: nodes that share an address, each has its own limiter.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.settings import GB, FetchSettings

POLL = 0.02
"""Seconds between looks for a free connection."""

DAY = 24 * 3600.0
"""Seconds for which a server may ask to be left alone; longer ones are forgotten."""

STOP_AFTER = 5
"""Answers 429 in a row after which a server is left alone for max_wait seconds."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """What the node knows about one server; times in seconds since 1970."""

    next: float = 0.0
    """When the next request may start."""
    paused: float = 0.0
    """Until when the server asked to be left alone."""
    limited: int = 0
    """Answers 429 in a row."""
    stopped: float = 0.0
    """Until when no request is made at all."""


def reserve(state: ServerState, now: float, rate: float) -> tuple[ServerState, float]:
    """Take the next free moment: the state after it, and the seconds to wait for it."""
    start = max(now, min(state.next, now + 3600.0), state.paused)
    return replace(state, next=start + 1.0 / rate), start - now


def believable(state: ServerState, now: float, max_wait: float) -> ServerState:
    """The state without times that none of its rules can have set: a clock that was ahead did. Pure."""
    following, paused, stopped = state.next, state.paused, state.stopped
    return replace(
        state,
        next=following if following <= now + max_wait + 1.0 else now,
        paused=paused if paused <= now + DAY else now,
        stopped=stopped if stopped <= now + max_wait else now,
    )


def pause(state: ServerState, now: float, seconds: float, *, limited: bool, max_wait: float) -> ServerState:
    """After an answer that asks to wait; `limited` for 429, of which too many in a row stop all for max_wait s."""
    count = state.limited + 1 if limited else state.limited
    stopped = now + max_wait if limited and count >= STOP_AFTER else state.stopped
    return replace(state, paused=max(state.paused, now + seconds), limited=count, stopped=stopped)


class Limiter:
    """The limiter of one folder, shared by all processes that use it."""

    def __init__(self, settings: FetchSettings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def slot(self, host: str) -> Iterator[None]:
        """Wait for one's turn at a server and hold one of its connections; FetchError when the turn is too far off."""
        key = hashlib.sha256(host.encode()).hexdigest()[:16]
        connection = self._connection(key)
        try:
            with self._state(key) as box:
                now = time.time()
                box[0] = believable(box[0], now, self._settings.max_wait)
                if box[0].stopped > now:
                    raise FetchError(Reason.RATE_LIMITED, f"{host} answered 429 too often: no requests for a while")
                after, wait = reserve(box[0], now, self._settings.rate)
                if wait > self._settings.max_wait:
                    raise FetchError(Reason.RATE_LIMITED, f"{host} asks to wait {wait:.0f} s, more than fetch.max_wait")
                box[0] = after
            time.sleep(wait)
            yield
        finally:
            connection.release()

    def pause(self, host: str, seconds: float, *, limited: bool) -> None:
        """Keep all processes of the node away from a server for so many seconds."""
        with self._state(hashlib.sha256(host.encode()).hexdigest()[:16]) as box:
            box[0] = pause(box[0], time.time(), seconds, limited=limited, max_wait=self._settings.max_wait)

    def fine(self, host: str) -> None:
        """An answer other than 429 came: forget earlier ones."""
        with self._state(hashlib.sha256(host.encode()).hexdigest()[:16]) as box:
            if box[0].limited:
                box[0] = replace(box[0], limited=0)

    def spend(self, count: int) -> None:
        """Book bytes of content before they are read; FetchError 'over_budget' when the day has not so many left."""
        with self._ledger() as box:
            bound = self._settings.day_gb
            if bound is not None and box[0] + count > round(bound * GB):
                detail = f"{box[0]} of {round(bound * GB)} bytes of the day are spent and {count} more were wanted"
                raise FetchError(Reason.OVER_BUDGET, detail)
            box[0] += count

    def refund(self, count: int) -> None:
        """Give back bytes that were booked and did not come."""
        if count > 0:
            with self._ledger() as box:
                box[0] = max(0, box[0] - count)

    def _connection(self, key: str) -> FileLock:
        """One of the server's connections, held; waits until one is free."""
        while True:
            for number in range(self._settings.connections):
                lock = FileLock(self._folder / f"{key}.{number}.slot", timeout=0)
                try:
                    lock.acquire()
                except Timeout:
                    continue
                return lock
            time.sleep(POLL)

    @contextmanager
    def _state(self, key: str) -> Iterator[list[ServerState]]:
        with self._record(f"{key}.json") as box:
            state = [_state(box[0])]
            yield state
            box[0] = asdict(state[0])

    @contextmanager
    def _ledger(self) -> Iterator[list[int]]:
        today = datetime.now(UTC).date().isoformat()
        with self._record("ledger.json") as box:
            spent = box[0].get("bytes")
            count = [spent if box[0].get("day") == today and isinstance(spent, int) else 0]
            yield count
            box[0] = {"day": today, "bytes": count[0]}

    @contextmanager
    def _record(self, name: str) -> Iterator[list[dict[str, object]]]:
        """A small JSON object under its lock; written back when it changed."""
        path = self._folder / name
        with FileLock(self._folder / f"{name}.lock"):
            before = _load(path)
            box = [dict(before)]
            yield box
            if box[0] != before:
                path.write_text(json.dumps(box[0]), encoding="ascii")


def _load(path: Path) -> dict[str, object]:
    """A record; empty when there is none yet, or when a kill left half of one."""
    try:
        record = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _state(record: dict[str, object]) -> ServerState:
    """State from its record; a record of another version starts anew."""
    try:
        return ServerState(**record)  # type: ignore[arg-type]
    except TypeError:
        return ServerState()
