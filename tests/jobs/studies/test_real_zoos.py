"""The studies on real weights: the CIFAR ResNets, and the two checkpoints of the paper's figure 5."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.studies.ask import study
from zoospectra.jobs.main import main


@pytest.fixture(scope="module")
def warehouse(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "data"
    globs = "*cifar10-resnet*,*5Lremoved*"
    words = [f"zoo.path={shared / 'zoo'}", f"models={globs}", f"warehouse.dir={folder}", "cluster=inline"]
    assert main(["scan", "zoo=local", "profiles=weightwatcher,ww012", *words]) in (0, 3)
    return folder


def test_the_distiller_text_has_the_direction_reversed(warehouse: Path) -> None:
    found = study("distiller", warehouse).findings
    cells = {cell.row: cell for cell in found.cells if cell.table_id == "COLLAPSE_MEANS" and cell.column == "base"}
    for profile in ("weightwatcher", "ww012"):
        top = cells[f"{profile} / mean log_spectral_norm"]
        assert (top.verdict, top.reason) == ("base smaller", "the text says base larger: the direction is reversed")
        assert cells[f"{profile} / mean alpha"].verdict == "base larger"
        moved = {cell.row for cell in found.cells if cell.verdict == "moved up" and "log_spectral" in cell.column}
        assert {f"{profile} / layer3.1.conv2", f"{profile} / layer3.2.conv2"} <= moved


def test_the_cifar_resnets_have_their_lines_and_the_others_too_few(warehouse: Path) -> None:
    found = study("natcomm2021", warehouse).findings
    rows = {cell.row: cell for cell in found.cells}
    line = [cell for cell in found.cells if cell.row == "weightwatcher / cifar-10 / top1_error / ResNet-CIFAR"]
    assert {cell.n for cell in line} == {4}
    assert all(cell.value is not None for cell in line)
    assert not any(row.endswith("ResNet20-Distiller") and cell.value is not None for row, cell in rows.items())
    assert any("Distiller" in note for note in found.notes)
