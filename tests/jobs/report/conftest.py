"""A population to report on, and Chromium where there is one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.jobs.studies.conftest import planted  # noqa: F401 - a fixture


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless browser of Debian's package, driven by Playwright; skipped where either is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'zoospectra[browser]'")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
