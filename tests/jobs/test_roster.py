"""Which node gets which work, and what travels together: by files that nodes see, labels, and what was refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoospectra.analysis.cost import cost
from zoospectra.jobs.work.executors import Task, Wanted
from zoospectra.jobs.work.executors.node import Node, describe, lacking, wanted
from zoospectra.jobs.work.executors.roster import Roster
from zoospectra.jobs.work.plan import Item, Packer, Place

ID = "ray.io/node-id"


def node(*lacks: str) -> Node:
    return Node("host", 1, 1, 1, 0, lacks=frozenset(lacks))


def task(*reads: str, **more: object) -> Task:
    return Task("t", str, None, reads=reads, **more)  # type: ignore[arg-type]


def test_work_goes_to_nodes_that_see_its_files() -> None:
    roster = Roster({"pool": "x"}, {}, {"a": node("/zoo/1", "/zoo/dir"), "b": node("/zoo/2"), "c": node()})
    assert roster.lacking(["/zoo/1"]) == {"a"}
    assert roster.lacking(["/zoo/dir/unet/x.safetensors"]) == {"a"}
    assert roster.lacking(["/zoo/1", "/zoo/2"]) == {"a", "b"}
    assert roster.lacking(["/zoo/3", "/zoo/directory"]) == roster.lacking([]) == frozenset()
    assert roster.selector(task("/zoo/1")) == {"pool": "x", ID: "!in(a)"}
    assert roster.selector(task("/zoo/1", avoid=frozenset("c"))) == {"pool": "x", ID: "!in(a,c)"}
    # who failed is asked again rather than who does not see the file
    assert roster.selector(task("/zoo/1", avoid=frozenset("bc"))) == {"pool": "x", ID: "!in(a)"}
    roster.refused.add("d")
    assert roster.selector(task()) == {"pool": "x", ID: "!in(d)"}
    del roster.admitted["c"]
    assert roster.lacking(["/zoo/1", "/zoo/2"]) == frozenset(), "nobody sees both: any is as good"


def test_what_is_near_is_read_there_while_that_node_works() -> None:
    roster = Roster({}, {}, {"a": node(), "b": node()})
    assert roster.near(task(near="a")) == "a"
    assert roster.near(task(near="a", avoid=frozenset("a"))) is None
    assert roster.near(task(near="gone")) is None
    assert [roster.near(task(fetches=True)) for _ in range(3)] == ["b", "a", "b"]
    assert roster.near(task()) is None


def test_a_machine_says_which_files_of_a_run_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    for name in ("1.pth", "2.pth"):
        (tmp_path / name).write_bytes(b"12")
    paths = [str(tmp_path / name) for name in ("1.pth", "2.pth", "3.pth", "dir", "no/4.pth")]
    assert lacking(paths) == {paths[2], paths[4]}
    asked = wanted(paths)
    assert (describe(asked).trouble, describe(asked).lacks) == (None, {paths[2], paths[4]})
    (tmp_path / "1.pth").unlink()
    assert describe(asked).trouble is None, "it works on the others"
    (tmp_path / "2.pth").unlink()
    (tmp_path / "dir").rmdir()
    assert "it does not see" in str(describe(asked).trouble)
    (tmp_path / "1.pth").write_bytes(b"123")
    assert "has 3 bytes there and 2 here" in str(describe(asked).trouble)
    assert describe(Wanted()).lacks == frozenset()


def test_work_of_different_places_does_not_travel_together() -> None:
    items = [Item(f"{n}", "dense", "float32", None, cost(9, 9, 1, 4)) for n in range(6)]
    packer = Packer[Item](1.0)
    assert packer.add(items, lambda item: Place(near=str(int(item.content_hash) % 2))) == []
    packed = packer.rest()
    assert [(each.place.near, [item.content_hash for item in each.items]) for each in packed] == [
        ("0", ["0", "2", "4"]),
        ("1", ["1", "3", "5"]),
    ]
    assert packer.rest() == []


@pytest.mark.parametrize("labels", [{}, {"pool": "spot"}])
def test_what_a_cluster_lacks_is_said(labels: dict[str, str]) -> None:
    roster = Roster(labels, {"zoo_io": 0.5})
    assert roster.nobody().startswith("no node of the cluster has CPUs and ")
    assert all(word in roster.wanted() for word in (*labels.values(), "zoo_io=0.5"))
