"""One polite HTTP client: limiter, retries, the hub's errors as reasons, tokens for the hub's own address only.

Built on httpx2, which huggingface_hub uses too; it strips Authorization when a redirect leaves the host. Compressed
answers are neither asked for nor accepted, so that sizes are what they say. Not covered: uploads, cookies.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2

from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.fetch.backoff import PASSING, jittered, requested_wait
from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.fetch.limiter import Limiter
from zoospectra.zoo.fetch.locator import origin
from zoospectra.zoo.fetch.peers import Peers, Trail
from zoospectra.zoo.fetch.settings import FetchSettings, hub_token, hub_url

T = TypeVar("T")
MAX_TRIES = 200
"""Requests for one thing, whatever progress each of them makes: an end for servers that send a byte at a time."""
MAX_REDIRECTS = 5
BASE_DELAY = 1.0
"""Seconds before the second attempt; doubles with each further one, with full jitter."""
MIN_RATE = 1000.0
"""Bytes a second below which a transfer, after PATIENCE, is broken off and tried again."""
PATIENCE = 30.0
"""Seconds before a slow transfer is judged."""
LOCATION_SECONDS = 300.0
"""Seconds for which a redirect's target is used again for further ranges; signed addresses live for an hour."""

TRAIL = "trace"
"""Key of a request's extensions, httpcore's for a function of its events: the Trail of what was asked for."""

Take = Callable[[httpx2.Response, Iterator[bytes]], T]
"""Uses an answer and the blocks of its body; what it returns is the result of the request."""
Headers = Callable[[], Mapping[str, str]]
"""Headers of the next try: a range that shrinks as bytes arrive."""


class TryAgainError(Exception):
    """A try that failed in a way that another may not; an answer's user may raise it too."""

    def __init__(self, why: str, wait: float | None = None, *, status: int = 0, slow: bool = False) -> None:
        super().__init__(why)
        self.wait = wait
        self.status = status
        self.slow = slow


@dataclass(frozen=True, slots=True)
class Answer:
    """A small answer, whole."""

    body: bytes
    """Its bytes."""
    headers: Mapping[str, str]
    """Its headers, names in lower case."""


def user_agent() -> str:
    """'zoospectra/<version>'."""
    try:
        return f"zoospectra/{metadata.version('zoospectra')}"
    except metadata.PackageNotFoundError:
        return "zoospectra/0"


def refusal(status: int, headers: Mapping[str, str], url: str, *, token: bool) -> FetchError | None:
    """The reason that an answer's status is final; None for a status that is no refusal. Header names in lower case.

    The hub's codes after huggingface_hub.errors: it answers 401 for what does not exist as well as for what is private.
    """
    if status < 400:
        return None
    code = headers.get("x-error-code", "")
    message = headers.get("x-error-message", "")[:300]
    place = f"{url.partition('?')[0]}: {status}" + (f" {code}" if code else "") + (f" ({message})" if message else "")
    if code == "GatedRepo":
        return FetchError(Reason.GATED, place + ("" if token else "; HF_TOKEN is not set"))
    if code in ("RepoNotFound", "EntryNotFound", "RevisionNotFound") or status in (404, 410):
        return FetchError(Reason.NOT_FOUND, place + ("; or it is private" if code == "RepoNotFound" else ""))
    if status == 416:
        return FetchError(Reason.UNREADABLE, place + "; the file is shorter than it was said to be")
    return FetchError(Reason.FORBIDDEN if status in (401, 403, 451) else Reason.UNREACHABLE, place)


class Client:
    """Requests of one process under one set of settings."""

    def __init__(self, settings: FetchSettings, limiter: Limiter) -> None:
        self.settings = settings
        self.limiter = limiter
        self._peers = Peers()
        self._locations: dict[str, tuple[str, float]] = {}
        self._http = httpx2.Client(
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            timeout=httpx2.Timeout(settings.timeout, connect=min(settings.timeout, 15.0)),
            headers={"User-Agent": user_agent(), "Accept-Encoding": "identity"},
            event_hooks={"request": [_check_redirect]},
        )

    def small(self, url: str, cap: int, headers: Mapping[str, str] | None = None) -> Answer:
        """A whole answer of at most `cap` bytes; FetchError 'unsafe' as soon as it is known to be larger."""

        def take(response: httpx2.Response, blocks: Iterator[bytes]) -> Answer:
            kept = bytearray()
            check_size(announced(response), cap, url)
            for block in blocks:
                kept += block
                check_size(len(kept), cap, url)
            return Answer(bytes(kept), dict(response.headers))

        return self.get(url, take, lambda: headers or {})

    def get(self, url: str, take: Take[T], headers: Headers = dict, *, steady: bool = False) -> T:
        """GET until it works; `take` uses each answer below 400. FetchError when it cannot work or was tried enough.

        Failures in a row are bounded by settings.attempts; a try that made progress, which changes `headers()`, starts
        the count anew, unless it was broken off for being slow.
        `steady`: ask a redirect's target directly the next time, for ranges of one file.
        """
        failures = 0
        why = ""
        for _ in range(MAX_TRIES):
            before = dict(headers())
            try:
                return self._once(url, before, take, steady=steady)
            except TryAgainError as error:
                failures = 1 if dict(headers()) != before and not error.slow else failures + 1
                why = str(error)
                if failures >= self.settings.attempts:
                    reason = Reason.RATE_LIMITED if error.status == 429 else Reason.UNREACHABLE
                    raise FetchError(reason, f"{url}: given up after {failures} tries: {why}") from error
                if error.wait is None:
                    chance = random.random()  # spreads tries, decides nothing else
                    time.sleep(jittered(failures, BASE_DELAY, self.settings.max_wait, chance))
        raise FetchError(Reason.UNREACHABLE, f"{url}: given up after {MAX_TRIES} requests: {why}")

    def _once(self, url: str, headers: Mapping[str, str], take: Take[T], *, steady: bool) -> T:
        """One request under the limiter; TryAgainError when it failed for now."""
        target = self._location(url) if steady else url
        token = hub_token() if origin(target) == origin(hub_url()) else None
        sent = {**headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        host = urlsplit(url).netloc
        with self.limiter.slot(host):
            try:
                extensions = {TRAIL: Trail(url, self._peers)}
                with self._http.stream("GET", target, headers=sent, extensions=extensions) as response:
                    self._judge(response, url, target, host, token=token is not None)
                    if steady and response.history:
                        self._locations[url] = (str(response.url), time.monotonic() + LOCATION_SECONDS)
                    return take(response, self._blocks(response))
            except (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
                self._locations.pop(url, None)
                raise TryAgainError(f"{type(error).__name__}: {error}") from error
            except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
                raise FetchError(Reason.UNREACHABLE, f"{url}: {type(error).__name__}: {error}") from error

    def _judge(self, response: httpx2.Response, url: str, target: str, host: str, *, token: bool) -> None:
        """Raise for an answer that is no success, after telling the limiter what the server asks for."""
        status, headers = response.status_code, dict(response.headers)
        wait = requested_wait(status, headers, datetime.now(UTC))
        if status == 429 or wait is not None:
            self.limiter.pause(host, wait or 0.0, limited=status == 429)
        if status != 429:
            self.limiter.fine(host)
        if status in PASSING:
            raise TryAgainError(f"status {status}", wait, status=status)
        final = refusal(status, headers, url, token=token)
        if final is not None and target != url:
            # The remembered target has expired: ask the address itself again.
            del self._locations[url]
            raise TryAgainError(f"status {status} of a remembered redirect", 0.0)
        if final is not None:
            raise final
        if headers.get("content-encoding", "identity").lower() != "identity":
            detail = f"{url}: the server sends {headers['content-encoding']!r}, though nothing compressed was asked for"
            raise FetchError(Reason.UNSAFE, detail)

    def _location(self, url: str) -> str:
        known = self._locations.get(url)
        return known[0] if known is not None and known[1] > time.monotonic() else url

    def _blocks(self, response: httpx2.Response) -> Iterator[bytes]:
        """The body, booked in the day's budget beforehand where its size is announced; too slow is a failed try."""
        size = announced(response)
        booked = size or 0
        self.limiter.spend(booked)
        came = 0
        started = time.monotonic()
        try:
            for block in response.iter_raw():
                came += len(block)
                if came > booked:
                    self.limiter.spend(came - booked)
                    booked = came
                yield block
                taken = time.monotonic() - started
                if taken > PATIENCE and came < MIN_RATE * taken:
                    raise TryAgainError(
                        f"{came} bytes in {taken:.0f} s: slower than {MIN_RATE:.0f} bytes a second", slow=True
                    )
        finally:
            self.limiter.refund(booked - came)


def _check_redirect(request: httpx2.Request) -> None:
    """FetchError 'unsafe' for a redirect that is not followed; called before every request, the first one included."""
    trail: Trail = request.extensions[TRAIL]
    trail.follow(str(request.url))


def announced(response: httpx2.Response) -> int | None:
    """Content-Length of an answer; None when it is absent or no number."""
    text = response.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def check_size(size: int | None, cap: int, url: str) -> None:
    """FetchError 'unsafe' when a size is above the cap."""
    if size is not None and size > cap:
        raise FetchError(Reason.UNSAFE, f"{url}: {size} bytes or more, at most {cap} are read")
