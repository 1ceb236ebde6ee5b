"""A warehouse on a mount that hangs: a FUSE file system that nobody serves is mounted over it, for real."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from tests.jobs.zoos import make_zoo
from tests.namespaces import mounts, unshared
from zoospectra.jobs import silence
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query

FUSE = Path("/dev/fuse")

HANG = """import ctypes, os, sys, time
fuse = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0".encode()
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL: it goes with the command
if libc.mount(b"hang", sys.argv[1].encode(), b"fuse", 0, options):
    sys.exit(os.strerror(ctypes.get_errno()))
print("mounted", flush=True)
time.sleep(600)
"""
"""Mounts a file system over a folder and never answers a request to it."""

SCAN = """import sys, subprocess
from zoospectra.jobs import silence
from zoospectra.jobs.main import main
from zoospectra.jobs.work import execute
silence.SILENCE = 3.0
publish = execute.apart.refresh
def hanging(*words):
    hang = subprocess.Popen([sys.executable, "-c", {hang!r}, {data!r}], stdout=subprocess.PIPE)
    hang.stdout.readline()
    return publish(*words)
execute.apart.refresh = hanging
sys.exit(main())
"""
"""The command, on whose warehouse the mount begins to hang once everything is analysed."""


@mounts
@pytest.mark.slow
@pytest.mark.skipif(not os.access(FUSE, os.R_OK | os.W_OK), reason="needs /dev/fuse")
def test_a_warehouse_that_hangs_ends_the_command_in_a_line_and_the_next_run_goes_on(tmp_path: Path) -> None:
    zoo, data, code = make_zoo(tmp_path / "zoo", models=3), tmp_path / "data", tmp_path / "scan.py"
    data.mkdir()
    code.write_text(SCAN.format(hang=HANG, data=str(data)))
    words = f"scan zoo=local zoo.path={zoo} cluster=inline warehouse.dir={data}"
    ended = unshared(f"timeout -k 5 100 {sys.executable} {code} {words}")
    last = ended.stderr.strip().splitlines()[-1]
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
    assert last == (
        f"zoospectra: {data} does not answer for 3 s; is its mount hanging? Mount it anew: "
        "what was finished is kept, the same command goes on from there"
    )
    assert list((data / "parts" / "log").glob("spectra-*.parquet"))
    began = sorted(path.name for path in (data / "parts" / "log").iterdir())
    assert main(words.split()) == 0
    assert query(data, "SELECT count(*) AS n FROM layer_metrics")["n"].to_pylist() == [12]
    assert not [name for name in (p.name for p in (data / "parts" / "log").glob("spectra-*")) if name not in began]


def test_a_process_that_was_stopped_has_not_met_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-Z for an hour, then fg: no answer came meanwhile, since nobody listened."""
    monkeypatch.setattr(silence, "SILENCE", 0.6)
    clock = iter(range(10**6))
    over = threading.Event()
    threading.Timer(0.1, over.set).start()
    assert not silence.is_silent(lambda: next(clock), over)
