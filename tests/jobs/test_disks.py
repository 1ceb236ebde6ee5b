"""A full disk, a read-only one, a cluster that is not there: one line and status 1, what was finished kept, then on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest

from tests.jobs.zoos import make_zoo
from tests.namespaces import mounts, unshared
from zoospectra.jobs.exit import JobError, broken_disk
from zoospectra.jobs.main import main
from zoospectra.jobs.work.executors.address import knock
from zoospectra.warehouse.connect import generations
from zoospectra.warehouse.disk import written
from zoospectra.warehouse.query import query

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
    return unshared(code)


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
        assert (
            "free some, or give warehouse.dir=DIR on another disk where it is the warehouse: what was finished" in last
        )
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


FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")


@FULL
@pytest.mark.parametrize("words", [["--version"], ["help", "scan"]])
def test_an_output_that_cannot_be_written_is_a_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([sys.executable, "-c", MAIN, *words], check=False, stdout=full, stderr=-1, text=True)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert "stdout: No space left on device; free some" in ended.stderr


@FULL
def test_a_full_disk_is_named_where_arrow_names_none() -> None:
    with pytest.raises(OSError, match="No space") as named, written("/some/folder"):
        pyarrow.csv.write_csv(pa.table({"a": [0.0] * 10}), "/dev/full")
    line = broken_disk(named.value)
    assert line is not None
    assert line.startswith("/some/folder: No space left on device; free some, or give warehouse.dir=DIR")


@mounts
@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["inline", "local"])
@pytest.mark.parametrize("option", ["ro", "size=4k"])
def test_a_machine_without_room_for_temporary_files(tmp_path: Path, cluster: str, option: str) -> None:
    """Neither /tmp, /var/tmp nor /dev/shm takes a byte: inline needs none of them, Ray says so."""
    zoo, temporary = make_zoo(tmp_path / "zoo", models=1), tmp_path / "tmp"
    temporary.mkdir()
    mount = [f"mount -t tmpfs -o {option} none {place}; cat /dev/zero > {place}/full" for place in ("/dev/shm", "$T")]
    words = f"scan zoo=local zoo.path={zoo} cluster={cluster} warehouse.dir={tmp_path}/w"
    only = "import tempfile, os; tempfile._candidate_tempdir_list = lambda: [os.environ['T']]; "  # not this machine's
    code = f'{"; ".join(mount)}; cd $T; {sys.executable} -c "{only}{MAIN}" {words}'
    ended = unshared(code, T=str(temporary))
    line = ended.stderr.strip().splitlines()[-1]
    if cluster == "inline":
        assert ended.returncode == 0, ended.stderr
    else:
        assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
        assert line == (
            f"zoospectra scan: TMPDIR: No usable temporary directory found in ['{temporary}']; "
            "free some there, set TMPDIR to another folder, or use cluster=inline"
        )


@pytest.mark.ray
def test_a_cluster_that_is_not_there_is_a_line_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=1)
    words = ["scan", "zoo=local", f"zoo.path={zoo}", "cluster=ray", "cluster.address=127.0.0.1:9"]
    assert main([*words, f"warehouse.dir={tmp_path}/w"]) == 1
    error = capsys.readouterr().err
    assert "cluster.address=127.0.0.1:9: 127.0.0.1:9 does not answer (Connection refused); start it with" in error


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.9\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", None])
def test_what_is_no_ray_is_a_line_at_once(answer: bytes | None) -> None:
    """A server that hangs up, other protocols, and one that says nothing: Ray would wait three minutes for each."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(answer) if answer is not None else over.wait()

        over = threading.Event()
        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(JobError) as refused:
            knock(address, seconds=0.3)
        over.set()
    words = f"cluster.address={address}: what listens at {address} does not answer as Ray does; start it with"
    assert str(refused.value).startswith(words)


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
