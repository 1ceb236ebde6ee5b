"""Clocks that were ahead: rows of today win over rows that are dated after them, and nothing waits for that day."""

from __future__ import annotations

import datetime
import types
from pathlib import Path

import pytest

from tests.jobs.test_nights import retrain, scan
from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.warehouse import clock
from zoospectra.warehouse.query import query
from zoospectra.zoo.fetch.limiter import ServerState, believable, reserve

AHEAD = datetime.timedelta(days=400)
STATES = {
    "models": "SELECT name, weights_sha256 FROM models WHERE latest ORDER BY ALL",
    "reported": "SELECT model_id, value FROM reported_metrics ORDER BY ALL",
    "skipped": "SELECT model_id, tensor, reason FROM skipped ORDER BY ALL",
    "metrics": "SELECT model_id, longname, content_hash, alpha FROM layer_metrics ORDER BY ALL",
}


class Ahead(datetime.datetime):
    """A clock that is set wrong."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
        return datetime.datetime.now(tz) + AHEAD


@pytest.mark.slow
def test_rows_of_today_win_over_rows_from_a_clock_that_was_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=2), tmp_path / "data"
    whole = (zoo / "net1.safetensors").read_bytes()
    (zoo / "net1.safetensors").write_bytes(whole[:-1000])
    wrong = types.SimpleNamespace(**{name: getattr(datetime, name) for name in ("UTC", "timedelta")}, datetime=Ahead)
    with monkeypatch.context() as patched:
        patched.setattr(clock, "datetime", wrong)
        assert scan(zoo, data) == 3
    clock._LAST.clear()  # another process
    (zoo / "net1.safetensors").write_bytes(whole)
    retrain(zoo, "fc1.weight")
    catalog = zoo / "catalog.csv"
    catalog.write_text(catalog.read_text().replace(",10,", ",9,"))
    capsys.readouterr()
    assert scan(zoo, data) == 0
    assert "by this machine's clock, is one of them wrong?" in capsys.readouterr().err
    assert scan(zoo, tmp_path / "fresh") == 0
    for name, sql in STATES.items():
        assert query(data, sql).equals(query(tmp_path / "fresh", sql)), name
    assert query(data, "SELECT count(*) AS n FROM models WHERE latest")["n"].to_pylist() == [2]
    assert main(["study", "study=health", f"warehouse.dir={data}"]) == 0
    took = query(data, "SELECT verb, finished - started < INTERVAL 1 HOUR AS short FROM runs").to_pylist()
    assert {"verb": "study", "short": True} in took
    assert all(run["short"] for run in took)


def test_a_server_is_not_left_alone_until_a_day_that_a_wrong_clock_has_set() -> None:
    far = 1e9
    state = believable(ServerState(next=far, paused=far, stopped=far), now=1000.0, max_wait=120.0)
    assert reserve(state, 1000.0, rate=5.0)[1] == 0.0
    assert state.stopped <= 1000.0
    kept = ServerState(next=1100.0, paused=5000.0, limited=5, stopped=1120.0)
    assert believable(kept, now=1000.0, max_wait=120.0) == kept
