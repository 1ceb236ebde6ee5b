"""`zoospectra bench` at small sizes: every suite runs, contenders agree, mistakes are named. No time is asserted."""

from __future__ import annotations

import numpy as np
import pytest

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.benches.fits import sample
from zoospectra.jobs.benches.layers import WORKLOADS
from zoospectra.jobs.benches.pair import Contender, Row, compare, difference
from zoospectra.jobs.benches.peers import installed, peer, quiet
from zoospectra.jobs.benches.pool import analyse_files, tasks
from zoospectra.jobs.benches.table import HEAD, markdown
from zoospectra.jobs.main import main
from zoospectra.jobs.verbs.bench import BenchSettings, bench, check
from zoospectra.jobs.words.command import Configuration
from zoospectra.jobs.words.profiles import load_profiles
from zoospectra.jobs.work.executors import Cluster, open_executor


def small(**values) -> tuple[Row, ...]:
    """Rows of a bench at small sizes; checked as the command checks it."""
    given = {"sizes": [12, 300], "threads": [1], "tails": [60], "workloads": ["gpt2", "cnn50"], "executors": ["inline"]}
    settings = BenchSettings(**{**given, "shrink": 16, "rounds": 1, **values})
    return bench(check(settings, Configuration())).rows


def test_contenders_take_turns_and_the_first_is_the_measure() -> None:
    calls = []

    def contender(name, number):
        return Contender(name, lambda: calls.append(name) or [1.0, number])

    rows = compare("fits", "case", [contender("a", 2.0), contender("b", 2.5)], rounds=3, budget=1e9)
    assert calls == ["a", "b"] * 3
    assert [(row.contender, row.rounds, row.difference) for row in rows] == [("a", 3, 0.0), ("b", 3, 0.25)]
    assert (rows[0].ratio, rows[0].ratio_least, rows[0].ratio_most) == (1.0, 1.0, 1.0)
    assert rows[1].ratio_least <= rows[1].ratio <= rows[1].ratio_most
    calls.clear()
    compare("fits", "case", [contender("a", 1.0)], rounds=9, budget=1e-9)
    assert calls == ["a"]


def test_difference_of_results() -> None:
    assert difference([1.0, 2.0], [1.0, 2.2]) == pytest.approx(0.1)
    assert difference([], []) == 0.0
    assert difference([1.0], [1.0, 1.0]) is None
    assert difference([0.0], [0.5]) == 0.5


def test_kernels_agree() -> None:
    rows = small(suites=["kernels"])
    assert {row.contender for row in rows} >= {"stacked", "openblas", "banded", "singular values", "Gram matrix alone"}
    assert rows[0].contender == "stacked"
    assert next(row for row in rows if "300 x 300" in row.case).contender == "openblas"
    assert all(row.difference < 1e-12 for row in rows if row.contender != "Gram matrix alone")


@pytest.mark.oracle
def test_fits_agree() -> None:
    rows = small(suites=["fits"])
    peers = [row for row in rows if not row.contender.startswith("zoospectra")]
    assert len(peers) == installed("weightwatcher") + 2 * installed("powerlaw")
    assert all(row.difference < (0.05 if "truncated" in row.case else 1e-9) for row in peers)


@pytest.mark.oracle
def test_layers_agree() -> None:
    rows = small(suites=["layers"])
    assert len(rows) == 2 * (2 + installed("weightwatcher"))
    assert all(row.difference is not None and row.difference < 1e-9 for row in rows)


def test_workloads_have_the_sizes_they_are_named_for() -> None:
    sides = {name: [shape for net in make() for shape in net.values()] for name, make in WORKLOADS.items()}
    assert len(sides["gpt2"]) == 48
    assert sum(rows * columns for rows, columns in sides["gpt2"]) == 12 * 768 * 768 * 12
    assert sides["one4096"] == [(4096, 4096)]
    assert len(sides["four4096"]) == 4
    assert len(WORKLOADS["cnn50"]()) == 50


def test_small_files_share_a_task_and_large_ones_are_split(tmp_path, monkeypatch) -> None:
    folder = make_zoo(tmp_path / "zoo")
    files = sorted(folder.glob("*.safetensors"))
    (profile,) = load_profiles(["weightwatcher"])
    whole = tasks(files, profile, 1)
    assert len(whole) == 1
    dealt = [task.argument.paths for task in tasks(files, profile, 2)]
    assert len(dealt) == 2
    assert sorted(path for paths in dealt for path in paths) == [str(file) for file in files]
    executor = open_executor(Cluster("inline"))
    expected = analyse_files(files, profile, executor)
    monkeypatch.setattr("zoospectra.jobs.benches.pool.TASK_BYTES", 1)
    assert len(tasks(files, profile, 2)) == len(files)
    monkeypatch.setattr("zoospectra.jobs.benches.pool.SECONDS", 0.0)
    split = tasks(files, profile, 2)
    assert len(split) == 16
    assert all(task.memory > 0 and task.cpus == 1 for task in split)
    assert analyse_files(files, profile, executor) == expected
    assert len(expected) == 16


def test_samples_are_ascending_with_a_tail() -> None:
    x = sample(1000)
    assert np.all(np.diff(x) >= 0)
    assert np.count_nonzero(x >= 1) == 250


@pytest.mark.parametrize(
    "wrong",
    [
        {"suites": ["speed"]},
        {"suites": ["layers"], "workloads": ["gpt9"]},
        {"suites": ["layers"], "executors": ["slurm"]},
        {"sizes": [0]},
        {"tails": [2]},
        {"rounds": 0},
        {"shrink": 0},
        {"budget": 0.0},
    ],
)
def test_misuse(wrong) -> None:
    with pytest.raises(ValueError, match="expected"):
        small(**wrong)


def test_a_comparison_needs_rounds() -> None:
    with pytest.raises(ValueError, match="at least one round"):
        compare("fits", "case", [], 1, 1.0)


def test_peers_are_quiet(capfd) -> None:
    assert not installed("no_such_package")
    with quiet():
        print("noise")
    assert peer("json").dumps([]) == "[]"
    assert capfd.readouterr() == ("", "")


def test_markdown() -> None:
    row = Row("fits", "case", "ours", 0.00123, 1.0, 0.5, 2.0, None, 5)
    text = markdown([row], load=0.25)
    assert text.splitlines()[-1] == "| fits | case | ours | 0.00123 | 1.00 (0.50 - 2.00) | - | 5 |"
    assert "load 0.2" in text
    assert text.splitlines()[2].count("|") == len(HEAD) + 1


def test_the_verb(tmp_path, capsys) -> None:
    file = tmp_path / "table.md"
    words = ["bench", "suites=fits,kernels", "sizes=[8]", "threads=[1]", "tails=[40]", "rounds=1", f"markdown={file}"]
    assert main(words) == 0
    assert "goodness of fit, K=40" in capsys.readouterr().out
    assert file.read_text().count("\n| kernels | 16384 of 8 x 8, 1 thread |") == 5
    assert main(["bench", "suites=nothing"]) == 2
    assert main(["bench", "--help"]) == 0
    assert main(["bench", "--cfg"]) == 0
    assert "shrink: 1" in capsys.readouterr().out
