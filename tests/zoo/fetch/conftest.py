"""Loopback servers and quick settings for everything that fetches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import Loopback
from zoospectra.zoo.checkpoint import remote
from zoospectra.zoo.fetch import client, limiter
from zoospectra.zoo.fetch.session import Session, session
from zoospectra.zoo.fetch.settings import FetchSettings, environment

CONSTANTS = {
    "base_delay": client,
    "min_rate": client,
    "patience": client,
    "stop_after": limiter,
    "coalesce_gap": remote,
    "coalesce_span": remote,
    "header_guess": remote,
}
"""Constant in lower case -> the module that has it."""


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


@pytest.fixture
def fetching(tmp_path: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Session]:
    """Configure this process with quick settings and constants, changed as asked; gives the session."""
    monkeypatch.delenv("HF_TOKEN", raising=False)

    def configure(endpoint: str = server.url, **changes: Any) -> Session:
        values = {"rate": 1000.0, "base_delay": 0.01, **changes}
        fields = {field.name for field in dataclasses.fields(FetchSettings)}
        for name in values.keys() - fields:
            monkeypatch.setattr(CONSTANTS[name], name.upper(), values[name])
        settings = FetchSettings(**{name: value for name, value in values.items() if name in fields})
        for name, value in environment(settings, tmp_path / "cache").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        return session()

    return configure
