"""The figures of the 2021 paper, from its published data: what they say is what the paper prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from zoospectra.analysis.studies.natcomm2021 import METRICS
from zoospectra.analysis.studies.printed_figures import figure_1, supplement_points
from zoospectra.analysis.studies.supplement import METRICS as SUPPLEMENT
from zoospectra.jobs.call import call
from zoospectra.jobs.show.figures.histogram import histogram
from zoospectra.jobs.show.figures.points import points_table
from zoospectra.jobs.show.figures.quality import quality
from zoospectra.jobs.work.points import read_layers
from zoospectra.warehouse.studies import designs, selects

PRINTED = yaml.safe_load((ROOT / "conf/published/natcomm2021.yaml").read_text())
FIELDS = {"RMSE": "rmse", "R2": "r2", "tau": "kendall_tau"}


@pytest.fixture(scope="module")
def warehouse(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "data"
    call("scan", "zoo=published", f"zoo.path={shared / 'reference' / 'raw'}", f"warehouse.dir={folder}")
    return folder


@pytest.fixture(scope="module")
def rows(warehouse: Path) -> dict[str, list[dict[str, Any]]]:
    texts = selects("natcomm2021", ("averages", "reported"))
    return {name: table.to_pylist() for name, table in designs(warehouse, texts, {"source_date": None}).items()}


def agrees(value: float, printed: str) -> bool:
    """To the last digit that is printed."""
    return abs(value - float(printed)) <= 0.500001 * 10.0 ** -len(printed.partition(".")[2])


def test_figure_1_and_its_relatives(rows: dict[str, list[dict[str, Any]]]) -> None:
    table = PRINTED["tables"]["NC_T1"]
    points = figure_1(rows, PRINTED)
    differ = []
    for series in ("VGG", "ResNet", "DenseNet"):
        for metric, words in METRICS.items():
            (line, _) = quality(points_table(points[series], list(METRICS)), metric).tables["lines"].to_pylist()
            for word, field in FIELDS.items():
                printed = table["rows"][series][table["columns"].index(f"{word} {words}")]
                if not agrees(line[field], printed):
                    differ.append((series, metric, word, round(line[field], 3), printed))
    assert differ == [("ResNet", "log_alpha_norm", "R2", 0.954, "0.9")], "the table's own misprint"
    (later, _) = quality(points_table(points["ResNet-1K"], list(METRICS)), "log_alpha_norm").tables["lines"].to_pylist()
    assert [f"{later[field]:.2f}" for field in FIELDS.values()] == ["2.01", "0.86", "-0.88"], "printed: 2.0, .86, -.88"
    assert [len(points[series]) for series in ("VGG", "ResNet", "ResNet-1K", "DenseNet")] == [8, 5, 19, 4]


def test_the_supplement(rows: dict[str, list[dict[str, Any]]]) -> None:
    """All 27 series, three numbers on the four metrics, to the digits that are printed: 324 of them."""
    points, agreeing = supplement_points(rows, PRINTED), 0
    for metric, column in SUPPLEMENT.items():
        figure = quality(points_table(points, [metric]), metric, "data set and architecture")
        assert len(figure.panels) == 28
        lines = {line["group"]: line for line in figure.tables["lines"].to_pylist()}
        for word, name in (("RMSE", "NC_S_RMSE"), ("R2", "NC_S_R2"), ("tau", "NC_S_KTAU")):
            table = PRINTED["tables"][name]
            for group, values in table["rows"].items():
                agreeing += agrees(lines[group][FIELDS[word]], values[table["columns"].index(column)])
    assert agreeing == 324


def test_the_histograms_of_gpt2(warehouse: Path) -> None:
    """Figure 7 without embeddings: the means of alpha and of the log alpha-norm as the recipes have them."""
    layers = read_layers(warehouse)
    gpt2 = layers.filter([str(name).startswith("gpt2") for name in layers["name"].to_pylist()])
    alpha = {mark.label.split(":")[0]: mark.label for mark in histogram(gpt2, "alpha").panels[0].marks}
    norm = {mark.label.split(":")[0]: mark.label for mark in histogram(gpt2, "log_alpha_norm").panels[0].marks}
    assert {name: label.split(",")[0][-3:].strip() for name, label in alpha.items()} == {
        "published/gpt2 small": "48",
        "published/gpt2 medium": "96",
        "published/gpt2 large": "144",
        "published/gpt2 xl": "192",
    }
    assert "mean 3.89" in alpha["published/gpt2 small"]
    assert "mean 7.51" in norm["published/gpt2 xl"]
