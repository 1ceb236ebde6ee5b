"""The embedded zoo shows what its docstring says: scale turns around inside series, and not inside hyperparameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.studies.ask import study
from zoospectra.jobs.main import main


@pytest.mark.slow
def test_scale_turns_around_inside_series(tmp_path: Path) -> None:
    assert main(["scan", f"warehouse.dir={tmp_path}", "cluster=inline"]) == 0
    cells = study("simpson", tmp_path, {}).findings.cells
    verdicts = {cell.row.rpartition(" / ")[2]: cell.verdict for cell in cells if cell.table_id == "SIMPSON"}
    for metric in ("log_norm", "log_spectral_norm"):
        assert verdicts[f"{metric} by series"] == "reversal"
        assert verdicts[f"{metric} by batch_size"] == verdicts[f"{metric} by epochs"] == "none"
    assert verdicts["alpha by series"] == "undetermined"
