"""Loopback servers and quick settings for everything that fetches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.loopback import Loopback
from zoospectra.zoo.fetch.session import Session, session
from zoospectra.zoo.fetch.settings import Settings, environment


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


@pytest.fixture
def fetching(tmp_path: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Session]:
    """Configure this process with quick settings, changed as asked; gives the session."""
    monkeypatch.delenv("HF_TOKEN", raising=False)

    def configure(**changes: object) -> Session:
        quick = {"cache": str(tmp_path / "cache"), "rate": 1000.0, "base_delay": 0.01, "endpoint": server.url}
        settings = Settings(**{**quick, **changes})  # type: ignore[arg-type]
        for name, value in environment(settings).items():
            monkeypatch.setenv(name, value)
        return session()

    return configure
