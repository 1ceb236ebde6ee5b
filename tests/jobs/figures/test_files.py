"""Every figure drawn from a warehouse: its file says what it shows, and its numbers are those of other libraries."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from scipy import stats

from zoospectra.analysis.studies import STUDIES
from zoospectra.jobs.call import call
from zoospectra.jobs.main import main
from zoospectra.jobs.show.figures.counts import counts
from zoospectra.jobs.show.figures.draw import render
from zoospectra.jobs.show.figures.files import write
from zoospectra.jobs.show.figures.record import Figure
from zoospectra.jobs.show.figures.search import search
from zoospectra.jobs.verbs.figure import NAMES
from zoospectra.warehouse.query import query

pytest.importorskip("matplotlib")
SVG = "{http://www.w3.org/2000/svg}"
TABLE = pa.table({"group": ["a", "b"], "dataset": ["d", "d"], "n": [3, 4]})
LAYER = ["local/net0*", "fc1"]


def texts(path: Path) -> list[str]:
    return ["".join(element.itertext()) for element in ET.parse(path).iter(f"{SVG}text")]


def draw(name: str, warehouse: Path, folder: Path, *words: str) -> Path:
    path: Path = call("figure", name, *words, f"warehouse.dir={warehouse}", f"to={folder}")
    return path


def numbers(path: Path) -> list[dict]:
    return list(pc.read_csv(path).to_pylist())


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("esd", "search", "depth", "histogram")])
def test_figures_of_models(name: str, planted: Path, tmp_path: Path) -> None:
    path = draw(name, planted, tmp_path, "group=depth")
    said = " ".join(texts(path))
    assert "n = 40" in said or "n 40" in said
    table = pq.read_table(path.with_suffix(".parquet"))
    assert table.num_rows == pc.read_csv(path.with_suffix(".csv")).num_rows > 0
    assert "weightwatcher" in said or name in ("counts", "train-test")


@pytest.mark.parametrize("name", ["esd", "search", "depth", "histogram"])
def test_figures_of_layers(name: str, scanned: Path, tmp_path: Path) -> None:
    words = LAYER if name in ("esd", "search") else []
    path = draw(name, scanned, tmp_path, *words, "profiles=thorough")
    said = " ".join(texts(path))
    assert "profile thorough" in said
    if name == "esd":
        labels = (
            "log-log",
            "lin-lin",
            "log-lin",
            "xmin",
            "xmax",
            "noise edge",
            "shuffled copy",
            "power law",
            "64 eigen",
        )
        assert [label for label in labels if label not in said] == []
        data = [row for row in numbers(path.with_suffix(".csv")) if row["of"] == "layer"]
        sql = "SELECT list_sort(evals) AS evals FROM layer_spectra WHERE longname = 'fc1' AND unfold = 'slices'"
        (kept, *_) = query(scanned, f"{sql} AND model_id = 'local/net0.safetensors'").to_pylist()
        assert [row["eigenvalue"] for row in data] == pytest.approx(kept["evals"])
    if name == "search":
        rows = numbers(path.with_suffix(".csv"))
        (chosen,) = (row for row in rows if row["chosen"])
        assert f"{chosen['xmin']:.4g}" in said
        assert chosen["D"] == min(row["D"] for row in rows)


def test_the_simpson_picture_has_the_lines_of_scipy(planted: Path, tmp_path: Path) -> None:
    path = draw("quality", planted, tmp_path, "group=depth")
    data, lines = numbers(path.with_suffix(".csv")), numbers(tmp_path / "quality-alpha-by-depth-lines.csv")
    assert [(line["group"], line["n"]) for line in lines] == [("all", 40), ("1", 10), ("2", 10), ("3", 10), ("4", 10)]
    for line in lines:
        rows = [row for row in data if line["group"] in ("all", str(row["group"]))]
        x, y = [row["alpha"] for row in rows], [row["reported"] for row in rows]
        fit = stats.linregress(x, y)
        assert (line["slope"], line["intercept"]) == pytest.approx((fit.slope, fit.intercept))
        assert line["r2"] == pytest.approx(fit.rvalue**2)
        assert line["kendall_tau"] == pytest.approx(stats.kendalltau(x, y).statistic)
    assert lines[0]["slope"] > 0 > max(line["slope"] for line in lines[1:])
    assert f"all: n 40, R2 {lines[0]['r2']:.2f}, tau {lines[0]['kendall_tau']:.2f}" in texts(path)


def test_too_little_says_so(planted: Path, scanned: Path, tmp_path: Path) -> None:
    few = texts(draw("quality", planted, tmp_path, "models=toy/net0[0-2]"))
    assert "3 models have both numbers," in few
    assert "at least 4 are needed" in few
    assert any(
        "too few for a line" in text
        for text in texts(draw("quality", planted, tmp_path, "models=toy/net0?", "group=depth"))
    )
    none = draw("depth", planted, tmp_path, "metric=D", "models=toy/net00")
    assert any("n = 8 layers" in text for text in texts(none))
    assert "0 candidates for xmin, at least 3 are needed" in " ".join(texts_of(search(TABLE.slice(0, 0))))


def texts_of(figure: Figure) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(render(figure)).iter(f"{SVG}text")]


QUICK = ("flow", "convention")


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in STUDIES if kind != "kin"],
)
def test_every_study_draws_its_own(kind: str, planted: Path) -> None:
    """That of kin needs weights: tests/jobs/test_kin.py."""
    done = call("study", f"study={kind}", f"warehouse.dir={planted}")
    assert len(done.figures) >= 1
    for path in done.figures:
        assert path.parent == planted / "studies" / kind / "figures"
        assert len(texts(path)) > 2
        assert path.with_suffix(".parquet").exists()


def test_formats(tmp_path: Path) -> None:
    starts = {"svg": b"<?xml", "pdf": b"%PDF-", "png": b"\x89PNG"}
    for name, start in starts.items():
        (path,) = write([counts(TABLE)], tmp_path, name)
        first = path.read_bytes()
        assert first.startswith(start)
        write([counts(TABLE)], tmp_path, name)
        assert path.read_bytes() == first, "the same bytes again"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["qualty"], "did you mean 'quality'"),
        (["esd"], "expected MODEL LAYER after it, got nothing"),
        (["quality", "a", "b"], "expected no more words after it, got a b"),
        (["depth", "nope"], "expected no more words after it, got nope"),
        (["quality", "format=gif"], "format=gif: expected one of svg, pdf, png"),
        (["quality", "group=colour"], "group=colour: expected some of"),
        (["quality", "models=none*"], "models=none*: expected globs of model_id, none of 40 matches"),
        (["quality", "metric=speed"], "metric=speed: expected some of "),
        (["depth", "metric=speed"], "metric=speed: expected some of alpha, D"),
        (["quality", "profiles=a"], "profile=a: expected some of weightwatcher"),
    ],
)
def test_misuse(words: list[str], expected: str, planted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure", *words, f"warehouse.dir={planted}"]) == 2
    assert expected in capsys.readouterr().err


def test_without_matplotlib_a_study_says_how_to_get_it(planted: Path) -> None:
    code = """import sys; sys.modules['matplotlib'] = None; from zoospectra.jobs.main import main
from zoospectra.jobs.show.figures.counts import counts
from zoospectra.jobs.show.figures.draw import render
from zoospectra.jobs.show.figures.files import write
from zoospectra.jobs.show.figures.record import Figure
from zoospectra.jobs.show.figures.search import search
main(['study', 'study=flow', sys.argv[1]]); sys.exit(main(['figure', 'counts', sys.argv[1]]))"""
    words = [sys.executable, "-c", code, f"warehouse.dir={planted}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "figures need matplotlib: pip install 'zoospectra[figures]'\n" in done.stdout
    assert "and 0 figures in" in done.stdout
    assert done.returncode == 2
    assert done.stderr == "zoospectra figure: figures need matplotlib: pip install 'zoospectra[figures]'\n"
