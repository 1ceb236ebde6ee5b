"""Two scans at once on one warehouse both land, while a reader keeps working; nothing is lost or doubled."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import open_newest, query


def test_both_land_and_a_reader_is_not_disturbed(tmp_path: Path) -> None:
    zoos = [make_zoo(tmp_path / name, models=3, width=96 + 32 * number) for number, name in enumerate("ab")]
    data = tmp_path / "data"
    seed = make_zoo(tmp_path / "seed", models=1)
    assert (
        main(["scan", "zoo=local", f"zoo.path={seed}", "zoo.name=seed", f"warehouse.dir={data}", "cluster=inline"]) == 0
    )
    count = "SELECT count(*) FROM layer_metrics"
    with open_newest(data) as reader:
        before = reader.execute(count).fetchall()
        scans = []
        for zoo in zoos:
            words = ["zoo=local", f"zoo.path={zoo}", f"zoo.name={zoo.name}", f"warehouse.dir={data}", "cluster=inline"]
            scans.append(
                subprocess.Popen([sys.executable, "-m", "zoospectra", "scan", *words], stdout=subprocess.DEVNULL)
            )
        while any(scan.poll() is None for scan in scans):
            assert reader.execute(count).fetchall() == before
            time.sleep(0.1)  # the scans need the processor
        assert [scan.returncode for scan in scans] == [0, 0]
        assert reader.execute(count).fetchall() == before
    rows = query(data, "SELECT zoo, count(*) AS n FROM layers JOIN models USING (model_id) GROUP BY zoo ORDER BY zoo")
    assert rows.to_pylist() == [{"zoo": "a", "n": 12}, {"zoo": "b", "n": 12}, {"zoo": "seed", "n": 4}]
    assert query(data, count).to_pylist() == [{"count_star()": 28}]
    assert query(data, "SELECT count(*) AS n FROM runs WHERE exit_status = 0").to_pylist() == [{"n": 3}]
