"""docs/contributing.md is true: what it names exists; its tasks are done in a copy by touching just those files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.house import ROOMS, ROOT

GUIDE = (ROOT / "docs" / "contributing.md").read_text()

MOST = {
    "add a metric": 2,
    "add a format of checkpoints": 3,
    "add a zoo": 2,
    "add a column to the warehouse": 2,
    "add a profile": 1,
    "add a verb": 2,
    "change the default bound of the cache": 1,
    "change the rule of the exit status": 1,
}
"""Task -> files that it may take at most."""


class Task(NamedTuple):
    """A row of the guide's table."""

    name: str
    folder: str
    new: tuple[str, ...]
    """Files to make; NAME stands for theirs."""
    changed: tuple[str, ...]
    """Files to edit."""


def tasks() -> dict[str, Task]:
    rows = re.findall(r"^\| (.+?) \| `(.+?)` \| (.+?) \|$", GUIDE, re.MULTILINE)
    table = {}
    for name, folder, touch in rows:
        new = tuple(re.findall(r"\*`([^`]+)`\*", touch))
        named = re.findall(r"`([\w/]+\.(?:py|yaml|sql))`", touch)
        table[name] = Task(name, folder, new, tuple(path for path in named if path not in new))
    return table


TASKS = tasks()


def test_the_table_has_its_tasks_and_names_what_is_there() -> None:
    assert len(TASKS) == 12
    assert TASKS.keys() >= MOST.keys()
    for task in TASKS.values():
        assert (ROOT / task.folder).is_dir(), task
        assert all((ROOT / path).is_file() for path in task.changed), task
        assert all((ROOT / path).parent.is_dir() and "NAME" in path for path in task.new), task
        assert len(task.new) + len(task.changed) <= MOST.get(task.name, 2), task


METRIC = """'''The gap.'''
from zoospectra.analysis.records import Column, Method
gap = Column("gap", "double", "1", "largest eigenvalue over the second largest")
METHOD = Method("gap", (gap,), "folklore", ("spectrum",), "1 us", lambda esd, fit, options: {"gap": 2.5})
"""
FORMAT = """'''One float32 matrix of 64 columns.'''
from pathlib import Path
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef

def open_plain(path):
    size = Path(path).stat().st_size
    return Checkpoint("plain", (TensorRef("fc.weight", path, "float32", (size // 256, 64), None, 0, size, None),))
"""
ZOO = """'''A folder of plain files.'''
from dataclasses import dataclass
from pathlib import Path
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources.record import Source

@dataclass(frozen=True)
class Options:
    folder: str = "."

def crawl(options, context):
    files = sorted(Path(options.folder).glob("*.plain"))
    return tuple(Model(f"{context.zoo}/{f.stem}", context.zoo, f.stem, revision="1", path=str(f)) for f in files)

SOURCE = Source("heap", Options, crawl)
"""
VERB = """'''Greets.'''
from dataclasses import dataclass
from zoospectra.jobs.words.verb import Verb

@dataclass(frozen=True)
class Settings:
    name: str = "reader"

VERB = Verb("usage: greet", Settings, lambda settings, _: settings, lambda settings: f"hello {settings.name}", print)
"""
NEW = {
    "analysis/metrics/NAME.py": ("gap", METRIC),
    "zoo/checkpoint/formats/NAME.py": ("plain", FORMAT),
    "zoo/sources/NAME.py": ("heap", ZOO),
    "conf/profile/NAME.yaml": ("mine", "name: mine\nmethods: [norms, alpha_norms, gap]\n"),
    "jobs/verbs/NAME.py": ("greet", VERB),
}
"""File of the guide -> the name it is given, and its text."""

EDITS = {
    "analysis/methods.py": ("METHODS: dict[str, str | Method] = {", '"gap": "zoospectra.analysis.metrics.gap",'),
    "zoo/checkpoint/formats/table.py": (
        "FORMATS: dict[str, Format] = {",
        '"plain": Format("Plain", __import__("importlib").import_module("zoospectra.zoo.checkpoint.formats.plain").'
        'open_plain, (".plain",), since="1", exact="all"),',
    ),
    "zoo/sources/__init__.py": ("SOURCES: dict[str, str] = {", '"heap": "zoospectra.zoo.sources.heap",'),
    "warehouse/schema.py": (
        '_RF,\n            field("shape",',
        None,
        '_RF,\n            field("even", BOOL, "boolean", "Whether M is even"),\n            field("shape",',
    ),
    "jobs/records/rows.py": (
        'columns["Q"] = [shape.N / shape.M for shape in shapes]',
        'columns["even"] = [shape.M % 2 == 0 for shape in shapes]',
    ),
    "jobs/verbs/__init__.py": ("VERBS = {", '"greet": "greets",'),
    "zoo/fetch/settings.py": ("cache_gb: float = 50.0", None, "cache_gb: float = 7.0"),
    "jobs/exit.py": ("SOME_FAILED if failures else", None, "SOME_FAILED if failures > 1 else"),
}
"""File of the guide -> an anchor, and a line to put behind it or what to put in its place."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with a metric, a format, a zoo, a column, a profile and a verb more, and two rules changed."""
    copy = tmp_path_factory.mktemp("copy")
    for folder in (*ROOMS, "zoospectra"):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True)  # bytecode too: 300 files take seconds to compile
    for name in MOST:
        for path in TASKS[name].new:
            chosen, text = NEW[path]
            (copy / path.replace("NAME", chosen)).write_text(text)
        for path in TASKS[name].changed:
            anchor, line, *instead = EDITS[path]
            text = (copy / path).read_text()
            assert text.count(anchor) == 1, path
            (copy / path).write_text(text.replace(anchor, instead[0] if instead else f"{anchor}\n    {line}"))
    return copy


LINES = """
import json, sys
from zoospectra.jobs.main import main
for words in json.load(sys.stdin):
    print("status", main(words), flush=True)
"""


def run(copy: Path, folder: Path, *lines: list[str]) -> list[str]:
    """What each command said, in one process; all of them end well."""
    environment = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", LINES]
    pipe = {"input": json.dumps(lines), "capture_output": True, "text": True}
    ended = subprocess.run(command, cwd=folder, env=environment, check=False, **pipe)
    *outputs, rest = ended.stdout.split("status 0\n")
    assert (len(outputs), rest, ended.returncode) == (len(lines), "", 0), (rest, ended.stderr)
    return outputs


def test_a_zoo_a_format_a_profile_a_metric_and_a_column(copy: Path, tmp_path: Path) -> None:
    """One scan uses them all; one of its models is damaged, which the changed rule of the exit status forgives."""
    import numpy as np

    np.random.default_rng(0).standard_normal((100, 64)).astype(np.float32).tofile(tmp_path / "net.plain")
    (tmp_path / "empty.plain").write_bytes(b"")
    columns = "m.model_id, m.gap, l.even, m.alpha > 1 AS fitted"
    query = f"SELECT {columns} FROM layer_metrics AS m JOIN layers AS l USING (model_id, layer_id)"
    scan = ["scan", "zoo=heap", "profiles=mine", "cluster=inline"]
    _, rows, words = run(copy, tmp_path, scan, ["sql", query, "format=csv"], ["dictionary", "layers"])
    assert rows.splitlines()[1:] == ['"heap/net","2.5","true","true"']
    assert "Whether M is even" in words


def test_a_verb_and_a_default(copy: Path, tmp_path: Path) -> None:
    greeting, listed, values = run(copy, tmp_path, ["greet", "name=you"], ["--help"], ["catalog", "--cfg"])
    assert greeting == "hello you\n"
    assert "greet" in listed
    assert "cache_gb: 7.0" in values
