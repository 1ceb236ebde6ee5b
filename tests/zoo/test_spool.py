"""The models of a large catalog wait in a file: the same models, in the same order, with everything that they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoospectra.zoo.checkpoint.trouble import Reason, Skip
from zoospectra.zoo.model import Model, ReportedMetric
from zoospectra.zoo.spool import FEW, Spool, spooled


def catalog(count: int) -> list[Model]:
    return [
        Model(
            f"local/{n}\u00e9",
            "local",
            f"{n}\u00e9",
            f"{n:064x}",
            f"/zoo/{n}",
            licence="mit" if n % 3 else None,
            metrics=(ReportedMetric("cifar-10", "top1_error", n / 7, False, "us"),) * (n % 2),
            extra={"depth": n},
            beside=(Skip("a.csv", Reason.OPTIMIZER_STATE, "why", False),) * (n % 5 == 0),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, FEW - 1, FEW, FEW + 1, 2 * FEW + 1])
def test_models_come_back_as_they_were(count: int) -> None:
    wanted = catalog(count)
    found = spooled(iter(wanted))
    assert isinstance(found, tuple if count < FEW else Spool)
    assert (len(found), bool(found)) == (count, bool(count))
    assert list(found) == wanted == list(found)
    assert [found[n] for n in range(0, count, 97)] == wanted[::97]
    assert list(found[:3]) == wanted[:3]
    assert list(found[-2:]) == wanted[-2:]
    if count:
        assert found[-1] == wanted[-1]
    with pytest.raises(IndexError):
        found[count]
    assert spooled(found) is found or count < FEW


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = str(tmp_path / "gone")
    monkeypatch.setattr("tempfile.tempdir", gone)
    with pytest.raises(FileNotFoundError) as refused:
        spooled(iter(catalog(FEW)))
    assert str(refused.value.filename).startswith(gone)
