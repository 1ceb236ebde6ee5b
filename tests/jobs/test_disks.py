"""A full disk, a read-only one, a cluster that is not there: one line and status 1, what was finished kept, then on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.warehouse.connect import generations
from zoospectra.warehouse.query import query

NAMESPACES = subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode == 0
mounts = pytest.mark.skipif(not NAMESPACES, reason="needs the right to mount in a namespace of its own")
MAIN = "import sys; from zoospectra.jobs.main import main; sys.exit(main())"
COUNTS = "SELECT (SELECT count(*) FROM layers), (SELECT count(*) FROM layer_metrics), (SELECT count(*) FROM models)"


def scan(zoo: Path, data: Path, mount: str, then: str = "") -> subprocess.CompletedProcess[str]:
    """A scan in a namespace where `data` is mounted as said; afterwards what is in it is copied beside it.

    then: words of a verb that follows one that ended well, on a disk that has been filled up.
    """
    words = f"scan zoo=local zoo.path={zoo} cluster=inline warehouse.dir={data}/w"
    run = f"{sys.executable} -c '{MAIN}'"
    code = f"{mount} && {run} {words}; status=$?; "
    if then:
        code += (
            f"[ $status = 0 ] && {{ cat /dev/zero > {data}/full; {run} {then} warehouse.dir={data}/w; status=$?; }}; "
        )
    code += f"rm -rf {data}.kept; mkdir {data}.kept; cp -r {data}/w {data}.kept; exit $status"
    return subprocess.run(["unshare", "-m", "bash", "-c", code], check=False, capture_output=True, text=True)


@mounts
def test_a_full_disk_is_a_line_and_the_next_run_goes_on(tmp_path: Path) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=3), tmp_path / "data"
    data.mkdir()
    for size in (40, 2000):  # full while parts are written, and while the warehouse is built of them
        ended = scan(zoo, data, f"mount -t tmpfs -o size={size}k none {data}")
        last = ended.stderr.strip().splitlines()[-1]
        assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
        assert "No space left on device; free some, or give warehouse.dir=DIR on another disk" in last
        assert "what was finished is kept" in last
    kept = Path(f"{data}.kept") / "w"
    assert list(kept.glob("parts/log/spectra-*.parquet"))
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={kept}"]) == 0
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={tmp_path}/fresh"]) == 0
    assert query(kept, COUNTS) == query(tmp_path / "fresh", COUNTS)


@mounts
@pytest.mark.slow
def test_a_disk_that_is_full_at_any_stage_costs_nothing_but_a_run(tmp_path: Path) -> None:
    """Sizes at which the log, the rows, the first generation and the next one do not fit; studies too."""
    zoo, fresh = make_zoo(tmp_path / "zoo", models=3), tmp_path / "fresh"
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={fresh}"]) == 0
    stages = set()
    for size in (100, 1000, 2500, 4000, 5500, 7000, 8500, 10_000):
        data = tmp_path / f"data{size}"
        data.mkdir()
        ended = scan(zoo, data, f"mount -t tmpfs -o size={size}k none {data}", then="study study=simpson")
        kept = Path(f"{data}.kept") / "w"
        stages.add((bool(list(kept.glob("parts/log/*"))), (kept / "rows.duckdb").exists(), len(generations(kept))))
        assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
        last = ended.stderr.strip().splitlines()[-1]
        assert "No space left on device" in last
        assert "free some, or give warehouse.dir=DIR on another disk: what was finished is kept" in last
        assert main(["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={kept}"]) == 0
        for name in ("models", "layers", "layer_metrics", "skipped", "spectra", "sketches"):
            rows = [query(place, f"FROM {name} ORDER BY ALL") for place in (kept, fresh)]
            columns = [c for c in rows[0].column_names if c not in ("written", "first_seen", "last_seen")]
            assert rows[0].select(columns).equals(rows[1].select(columns)), (size, name)
    assert len(stages) > 2, stages


@mounts
def test_a_read_only_disk_is_a_line(tmp_path: Path) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=1), tmp_path / "data"
    data.mkdir()
    ended = scan(zoo, data, f"mount -t tmpfs -o ro none {data}")
    assert ended.returncode == 1
    assert "Read-only file system; make it writable, or give another warehouse.dir=DIR" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.ray
def test_a_cluster_that_is_not_there_is_a_line_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=1)
    words = ["scan", "zoo=local", f"zoo.path={zoo}", "cluster=ray", "cluster.address=127.0.0.1:9"]
    assert main([*words, f"warehouse.dir={tmp_path}/w"]) == 1
    error = capsys.readouterr().err
    assert "cluster.address=127.0.0.1:9: 127.0.0.1:9 does not answer (Connection refused); start it with" in error


def test_a_name_that_is_not_utf8_is_a_model_with_an_escaped_name(tmp_path: Path) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=2)
    (zoo / "catalog.csv").unlink()
    os.rename(os.fsencode(zoo / "net0.safetensors"), os.fsencode(zoo) + b"/n\xffet\xe9.safetensors")
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={tmp_path}/w"]) == 0
    names = query(
        tmp_path / "w", "SELECT name, num_layers FROM models JOIN model_metrics USING (model_id) ORDER BY name"
    )
    assert names["name"].to_pylist() == [r"n\xffet\xe9.safetensors", "net1.safetensors"]
    assert set(names["num_layers"].to_pylist()) == {3}
