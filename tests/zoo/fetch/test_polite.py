"""Politeness: rates, pauses, limits on simultaneous requests, the day's budget, and when to stop asking."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loopback import Loopback, Zeros
from zoospectra.zoo.fetch.backoff import jittered, requested_wait
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.limiter import Limiter, ServerState, pause, reserve
from zoospectra.zoo.fetch.session import Session
from zoospectra.zoo.fetch.settings import GB, FetchSettings, configure, current, hub_url

Fetching = Callable[..., Session]
NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "7"}, 7.0),
        (503, {"retry-after": "Fri, 01 May 2026 12:01:30 GMT"}, 90.0),
        (503, {"Retry-After": "Fri, 01 May 2026 11:00:00 GMT"}, 0.0),
        (429, {"Retry-After": "soon"}, None),
        (429, {"RateLimit": '"api";r=0;t=55'}, 55.0),
        (
            200,
            {"ratelimit": '"resolvers";r=0;t=12', "ratelimit-policy": '"fixed window";"resolvers";q=3000;w=300'},
            12.0,
        ),
        (200, {"ratelimit": '"api";r=499;t=55'}, None),
        (200, {"Retry-After": "7"}, None),
        (429, {}, None),
    ],
)
def test_what_a_server_asks_for(status: int, headers: dict[str, str], seconds: float | None) -> None:
    assert requested_wait(status, headers, NOW) == seconds


@given(st.integers(1, 10_000), st.floats(0.001, 100), st.floats(0.1, 1000), st.floats(0, 0.999))
def test_jitter_stays_below_the_bound(failures: int, base: float, longest: float, chance: float) -> None:
    assert 0 <= jittered(failures, base, longest, chance) <= longest
    assert jittered(1, base, longest, chance) <= base


def test_turns_are_one_interval_apart_and_pauses_shift_them() -> None:
    state, waits = ServerState(), []
    for _ in range(3):
        state, wait = reserve(state, 100.0, rate=4.0)
        waits.append(wait)
    assert waits == [0.0, 0.25, 0.5]
    state = pause(state, 100.0, 30.0, limited=True, max_wait=300.0)
    assert reserve(state, 100.0, rate=4.0)[1] == 30.0
    assert reserve(state, 200.0, rate=4.0)[1] == 0.0


def test_two_limiters_of_one_folder_share_their_turns(tmp_path: Path) -> None:
    settings = FetchSettings(rate=20.0)
    starts: list[float] = []

    def ask(limiter: Limiter) -> None:
        for _ in range(4):
            with limiter.slot("host"):
                starts.append(time.time())

    threads = [threading.Thread(target=ask, args=(Limiter(settings, tmp_path),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Eight turns at 20 a second cannot take less than seven intervals, however slow the machine.
    assert max(starts) - min(starts) >= 7 / 20 - 0.02


def test_no_more_requests_at_once_than_allowed(tmp_path: Path) -> None:
    settings = FetchSettings(rate=1000.0, connections=2)
    inside, most, lock = [0], [0], threading.Lock()

    def ask() -> None:
        with Limiter(settings, tmp_path).slot("host"):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.02)
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2


def test_retry_after_is_waited_for(server: Loopback, fetching: Fetching) -> None:
    here = fetching()
    server.content.files["/a"] = b"data"
    server.script.add("/a", "status", 1, status=429, headers={"Retry-After": "1"})
    started = time.monotonic()
    assert here.client.small(server.url + "/a", 10).body == b"data"
    assert time.monotonic() - started >= 0.9


def test_a_longer_wait_than_allowed_is_a_reason_and_no_sleep(server: Loopback, fetching: Fetching) -> None:
    here = fetching(max_wait=5.0)
    server.script.add("/a", "status", status=429, headers={"Retry-After": "86400"})
    with pytest.raises(FetchError) as caught:
        here.client.small(server.url + "/a", 10)
    assert caught.value.reason == "rate_limited"
    assert len(server.log) == 1


def test_a_server_that_keeps_saying_429_is_left_alone_by_everybody(server: Loopback, fetching: Fetching) -> None:
    here = fetching(stop_after=3, attempts=10)
    server.content.files["/b"] = b"data"
    server.script.add("/a", "status", status=429)
    for path in ("/a", "/b"):
        with pytest.raises(FetchError) as caught:
            here.client.small(server.url + path, 10)
        assert caught.value.reason == "rate_limited"
    assert len(server.log) == 3


def test_an_unreachable_server_is_given_up(fetching: Fetching) -> None:
    here = fetching(attempts=3)
    with pytest.raises(FetchError, match="after 3 tries") as caught:
        here.client.small("http://127.0.0.1:1/x", 10)
    assert caught.value.reason == "unreachable"


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (403, {"X-Error-Code": "GatedRepo"}, "gated"),
        (401, {"X-Error-Code": "RepoNotFound"}, "not_found"),
        (404, {"X-Error-Code": "EntryNotFound"}, "not_found"),
        (404, {"X-Error-Code": "RevisionNotFound"}, "not_found"),
        (410, {}, "not_found"),
        (401, {}, "forbidden"),
        (403, {}, "forbidden"),
        (400, {}, "unreachable"),
    ],
)
def test_final_answers_are_asked_for_once(
    server: Loopback, fetching: Fetching, status: int, headers: dict[str, str], reason: str
) -> None:
    here = fetching()
    server.script.add("/a", "status", status=status, headers=headers)
    with pytest.raises(FetchError) as caught:
        here.client.small(server.url + "/a", 10)
    assert caught.value.reason == reason
    assert len(server.log) == 1


def spent(node: Session) -> int:
    """Bytes that the node has booked today."""
    return json.loads((node.cache.root / "limiter" / "ledger.json").read_text())["bytes"]


def test_the_days_budget_is_never_overspent(server: Loopback, fetching: Fetching) -> None:
    here = fetching(day_gb=2500 / GB)
    server.content.files["/a"] = bytes(1000)
    for _ in range(2):
        here.client.small(server.url + "/a", 5000)
    with pytest.raises(FetchError) as caught:
        here.client.small(server.url + "/a", 5000)
    assert caught.value.reason == "over_budget"
    assert spent(here) == 2000
    server.content.files["/b"] = bytes(500)
    assert len(here.client.small(server.url + "/b", 5000).body) == 500


def test_bytes_that_did_not_come_are_given_back(server: Loopback, fetching: Fetching) -> None:
    here = fetching(attempts=1)
    server.content.files["/a"] = bytes(100_000)
    server.script.add("/a", "cut", after=10_000)
    with pytest.raises(FetchError):
        here.client.small(server.url + "/a", 1 << 20)
    assert spent(here) == 10_000


def test_yesterdays_bytes_do_not_count(tmp_path: Path) -> None:
    limiter = Limiter(FetchSettings(day_gb=100 / GB), tmp_path)
    limiter.spend(60)
    with pytest.raises(FetchError, match="60 of 100 bytes"):
        limiter.spend(60)
    for ledger in (json.dumps({"day": "2001-01-01", "bytes": 99}), "{half a rec"):
        (tmp_path / "ledger.json").write_text(ledger)
        limiter.spend(60)
        assert json.loads((tmp_path / "ledger.json").read_text())["bytes"] == 60


def test_small_answers_have_a_cap(server: Loopback, fetching: Fetching) -> None:
    here = fetching()
    server.content.files["/a"] = Zeros(1 << 30)
    with pytest.raises(FetchError) as caught:
        here.client.small(server.url + "/a", 1 << 20)
    assert caught.value.reason == "unsafe"


def test_a_state_file_of_half_a_record_is_forgotten(tmp_path: Path) -> None:
    limiter = Limiter(FetchSettings(rate=1000.0), tmp_path)
    name = hashlib.sha256(b"host").hexdigest()[:16] + ".json"
    for text in ("{", "[]", '{"unknown": 1}'):
        (tmp_path / name).write_text(text)
        with limiter.slot("host"):
            pass
    assert json.loads((tmp_path / name).read_text())["next"] > 0


def test_settings_travel_by_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOOSPECTRA_FETCH", "")
    settings = FetchSettings(day_gb=5.0, attempts=2)
    configure(settings, tmp_path)
    script = "from zoospectra.zoo.fetch.settings import current; print(current())"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == repr((settings, tmp_path)) == repr(current())


def test_the_hubs_address_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1/")
    assert hub_url() == "http://127.0.0.1:1"
    monkeypatch.setenv("HF_ENDPOINT", "")
    assert hub_url() == "https://huggingface.co"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cache_gb", 0),
        ("cache_gb", float("inf")),
        ("rate", float("nan")),
        ("connections", 0),
        ("attempts", 0),
        ("max_wait", -1),
        ("day_gb", 0),
        ("timeout", 0),
    ],
)
def test_impossible_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name}={value}: expected "):
        FetchSettings(**{name: value})
