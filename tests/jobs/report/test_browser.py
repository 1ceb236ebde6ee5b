"""Pages in headless Chromium: no error, no request, every control used, nothing that axe-core objects to.

The quick test has a planted population; the slow ones the digits zoo, the CIFAR zoo and the published data. With
ZOOSPECTRA_SHOTS=DIR they leave pictures: wide, narrow, dark, and the printed page.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.report.test_page import hostile_page
from zoospectra.jobs.call import call
from zoospectra.jobs.main import main

pytest.importorskip("vl_convert", reason="pip install 'zoospectra[figures]'")
from zoospectra.jobs.show.page.html import html

VIEWS: dict[str, dict[str, Any]] = {
    "wide": {"viewport": {"width": 1280, "height": 900}},
    "narrow": {"viewport": {"width": 390, "height": 844}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
}
TO_THE_END = """async () => {
  for (let y = 0; y < document.documentElement.scrollHeight; y += 500) {
    window.scrollTo(0, y);
    await new Promise((done) => setTimeout(done, 30));
  }
}"""
DRAWN = """() => [...document.querySelectorAll('[data-spec]')].filter((e) => e.offsetParent)
  .every((e) => e.dataset.drawn && e.querySelector('svg'))"""


class Watched:
    """A page that remembers what it complained of and asked for."""

    def __init__(self, browser: Any, path: Path, view: str) -> None:
        self.page = browser.new_page(**VIEWS[view])
        self.page.set_default_timeout(250_000)  # ms: a busy machine is no fault of the page
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("dialog", lambda dialog: self.messages.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.evaluate(TO_THE_END)
        self.page.wait_for_function(DRAWN)

    def use_every_control(self) -> int:
        """Choose every option of every control in turn, open every table; returns how often the figure changed."""
        changed = 0
        for select in self.page.locator("form.controls select").all():
            name = select.get_attribute("name")
            for value in select.locator("option").evaluate_all("all => all.map((o) => o.value)"):
                before = self.page.locator(".chart").all_inner_texts() if name else []
                select.select_option(value)
                self.page.wait_for_timeout(30)
                changed += bool(name) and self.page.locator(".chart").all_inner_texts() != before
            select.select_option(index=0)
        self.page.evaluate("() => document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        self.page.wait_for_function(DRAWN)
        return changed

    def violations(self) -> list[str]:
        """What axe-core objects to; the rows of a table are alike, so a dozen of each stand for all."""
        package = pytest.importorskip("axe_playwright_python", reason="pip install 'zoospectra[browser]'")
        self.page.evaluate("() => document.querySelectorAll('tbody tr:nth-child(n+13)').forEach((row) => row.remove())")
        self.page.evaluate((resources.files(package) / "axe.min.js").read_text())
        found = self.page.evaluate("async () => (await axe.run({ resultTypes: ['violations'] })).violations")
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


def inspect(browser: Any, path: Path, name: str, views: tuple[str, ...] = tuple(VIEWS)) -> None:
    """Open a page in every view and use it."""
    for view in views:
        watched = Watched(browser, path, view)
        if shots := os.environ.get("ZOOSPECTRA_SHOTS"):
            watched.page.screenshot(path=f"{shots}/{name}-{view}.png", full_page=True)
            if view == "wide":
                watched.page.pdf(path=f"{shots}/{name}.pdf")
        width = watched.page.evaluate("document.documentElement.scrollWidth")
        assert width <= VIEWS[view]["viewport"]["width"], "nothing runs off the side"
        changed = watched.use_every_control()
        assert changed > 0 or watched.page.locator("[data-explorer]").count() == 0
        assert watched.messages == []
        assert watched.requests == [path.as_uri()]
        assert watched.violations() == [], view
        watched.page.close()


def written(warehouse: Path, *words: str) -> Path:
    path: Path = call("report", *words, f"warehouse.dir={warehouse}", f"to={warehouse / 'page.html'}").path
    return path


def test_a_warehouse(chromium: Any, planted: Path) -> None:
    inspect(chromium, written(planted), "planted", ("dark",))


def test_hostile_names_do_nothing(chromium: Any, tmp_path: Path) -> None:
    page = hostile_page()
    path = tmp_path / "hostile.html"
    path.write_text(
        html(
            type(page)(
                page.title,
                page.subtitle,
                tuple(
                    type(section)(
                        section.title, section.sentences, section.figures, section.tables, None, section.choice
                    )
                    for section in page.sections
                ),
            )
        )
    )
    watched = Watched(chromium, path, "wide")
    assert watched.page.locator("b, img").count() == 0
    assert watched.messages == []
    assert watched.requests == [path.as_uri()]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_digits_zoo(chromium: Any, tmp_path: Path) -> None:
    assert main(["scan", f"warehouse.dir={tmp_path}", "cluster=inline"]) == 0
    inspect(chromium, written(tmp_path), "digits")
    inspect(chromium, written(tmp_path, "studies=simpson"), "digits-simpson")
    inspect(chromium, written(tmp_path, "series=mlp-3"), "digits-series", ("narrow",))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_shared_zoo(chromium: Any, shared: Path, tmp_path: Path) -> None:
    words = [f"zoo.path={shared / 'zoo'}", "models=*cifar10-resnet*,*5Lremoved*", f"warehouse.dir={tmp_path}"]
    assert main(["scan", "zoo=local", "profiles=weightwatcher,thorough", "cluster=inline", *words]) in (0, 3)
    inspect(chromium, written(tmp_path), "shared")
    inspect(chromium, written(tmp_path, "*resnet20-12*", "profiles=thorough"), "shared-model")
    inspect(chromium, written(tmp_path, "*5Lremoved.pth*", "*5Lremoved_fine*"), "shared-pair")
    inspect(chromium, written(tmp_path, "run=latest"), "shared-run")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_published_data(chromium: Any, shared: Path, tmp_path: Path) -> None:
    call("scan", "zoo=published", f"zoo.path={shared / 'reference' / 'raw'}", f"warehouse.dir={tmp_path}")
    inspect(chromium, written(tmp_path, "profiles=published/weightwatcher-0.2"), "published")
    inspect(chromium, written(tmp_path, "studies=natcomm2021"), "published-natcomm2021", ("wide",))
