"""Pages as text: names harmless, nothing from outside, numbers those of the warehouse, wrong usage in one line."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from zoospectra.jobs.call import call
from zoospectra.jobs.main import main
from zoospectra.jobs.show.figures.quality import quality
from zoospectra.jobs.show.page.record import Page, Section
from zoospectra.warehouse.query import query

pytest.importorskip("vl_convert", reason="pip install 'zoospectra[figures]'")
from zoospectra.jobs.show.page.html import html

HOSTILE = (
    "</script><b>x",
    "<!--<script>",
    "a\x00\x1b[31m\n",
    "\u202eevil",
    "' onload='alert(1)",
    '"><img src=x>',
    "模型",
)


class Reader(HTMLParser):
    """Tags with attributes, text outside scripts and styles, and what the scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        (self.scripts if self.tags and self.tags[-1][0] in ("script", "style") else self.text).append(data)


def report(warehouse: Path, *words: str) -> str:
    written = call("report", *words, f"warehouse.dir={warehouse}", f"to={warehouse / 'page.html'}")
    assert written.size < 8_000_000
    return str(written.path.read_text())


def hostile_page() -> Page:
    rows = [
        {"model_id": f"{name}{i}", "group": name, "profile": name, "dataset": name, "target": name}
        | {"reported": float(i + j), "train": None, "alpha": float(i * i - j)}
        for j, name in enumerate(HOSTILE)
        for i in range(4)
    ]
    figure = quality(pa.Table.from_pylist(rows))
    table = pa.table({name: [name] for name in HOSTILE})
    sections = tuple(Section(name, (name,), (figure,), {name: table}, {"models": [name]}, name) for name in HOSTILE)
    return Page(HOSTILE[0], HOSTILE[1], sections)


def test_hostile_names_are_text() -> None:
    page = html(hostile_page())
    read = Reader(page)
    counted = {tag: sum(tag == other for other, _ in read.tags) for tag, _ in read.tags}
    assert {"b", "img"} & counted.keys() == set()
    assert counted["script"] == 2 + 1 + len(HOSTILE), "library, page's own, specs, a block of data a section"
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    said = "".join(read.text)
    for name in ("</script><b>x", "<!--<script>", r"a\x00\x1b[31m\n", r"\u202eevil", '"><img src=x>', "模型"):
        assert name in said
    assert re.search(r"[\x00-\x08\x0b-\x1f\u202e]", page.split("<script>")[0]) is None


def test_only_the_two_scripts_may_run_and_nothing_is_loaded() -> None:
    page = html(hostile_page())
    policy = next(
        a["content"] or "" for tag, a in Reader(page).tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = {"'sha256-" + base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() + "'" for one in scripts}
    assert len(scripts) == 2
    assert set(policy.partition("script-src ")[2].split()) == digests
    assert "default-src 'none'" in policy
    for tag, attributes in Reader(page).tags:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith(("#", "data:,"))


def test_the_numbers_are_those_of_the_warehouse_and_scipy(planted: Path) -> None:
    page = report(planted)
    block = re.search(r'id="s1-data">(.*?)</script>', page)
    assert block is not None
    (data,) = json.loads(block[1])["populations"]
    rows = query(planted, "SELECT model_id, alpha FROM model_metrics").to_pylist()
    assert dict(zip(data["models"], data["values"]["alpha"], strict=True)) == {
        row["model_id"]: pytest.approx(row["alpha"]) for row in rows
    }
    for direction, (x, y) in enumerate([("alpha", "y"), ("y", "alpha")]):
        for name, line in data["lines"][f"alpha|depth|{direction}"].items():
            chosen = [i for i, group in enumerate(data["groups"]["depth"]) if name in ("all", group)]
            sides = {"alpha": [data["values"]["alpha"][i] for i in chosen], "y": [data["reported"][i] for i in chosen]}
            fit = stats.linregress(sides[x], sides[y])
            assert (line["slope"], line["intercept"]) == pytest.approx((fit.slope, fit.intercept), rel=1e-5)
            assert line["tau"] == pytest.approx(stats.kendalltau(sides[x], sides[y]).statistic)
            assert line["mean"] == pytest.approx(np.mean(sides[x]), rel=1e-5)
            assert line["spread"] == pytest.approx(np.std(sides[x]), rel=1e-3)
            assert line["half"] == pytest.approx(fit.stderr * stats.t.ppf(0.975, len(chosen) - 2), rel=1e-5)
    assert f"<td>{rows[0]['alpha']:.5g}</td>" in page, "and in a table"


@pytest.mark.parametrize(
    ("words", "title"),
    [
        (["series=depth-2"], "Series depth-2"),
        (["toy/net00"], "Model toy/net00"),
        (["toy/net00", "toy/net01"], "toy/net00 and toy/net01"),
        (["studies=flow"], "Study flow"),
        (["run=latest"], "Run run-s1"),
    ],
)
def test_every_subject_has_its_page(words: list[str], title: str, planted: Path) -> None:
    page = report(planted, *words)
    assert f"<h1>{title}</h1>" in page
    shown = page.split("<script>")[0]
    assert shown.count("<table>") == shown.count("<caption>") > 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["toy/net00", "studies=flow"], "MODEL and studies: expected one of MODEL, series=NAME"),
        (["series=depth-9"], "series=depth-9 (did you mean 'depth-"),
        (["no*"], "MODEL 'no*' matches 0 of 40 models with layers"),
        (["run=none"], "run=none: expected latest or one of run-s1"),
        (["toy/net00", "profiles=farms"], "profiles=farms: expected one of weightwatcher"),
    ],
)
def test_misuse(words: list[str], expected: str, planted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", *words, f"warehouse.dir={planted}"]) == 2
    assert expected in capsys.readouterr().err


def test_the_same_page_has_the_same_bytes(planted: Path) -> None:
    first: Any = report(planted, "toy/net00")
    assert report(planted, "toy/net00") == first
