"""One rule for which layers count and one row for each that is left out, seen through real scans."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from tests.warehouse.knowledge import everything
from zoospectra.jobs.main import main
from zoospectra.warehouse.identity import ResultId
from zoospectra.warehouse.parts import list_parts, write
from zoospectra.warehouse.query import query
from zoospectra.warehouse.studies import designs, selects


def scan(zoo: Path, data: Path, *words: str) -> int:
    return main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline", *words])


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 6 layers, 3 of them fused q, k, v, in two revisions."""
    folder = tmp_path_factory.mktemp("fused")
    (folder / "zoo").mkdir()
    for seed in range(2):
        torch.manual_seed(seed)
        state = {f"h.{i}.attn.c_attn.weight": torch.randn(48, 144) for i in range(3)}
        state |= {f"h.{i}.attn.c_proj.weight": torch.randn(48, 48) for i in range(3)}
        save_file(state, folder / "zoo" / "net.safetensors")
        assert scan(folder / "zoo", folder / "data") == 0
    return folder / "data"


def test_fused_layers_count_once_in_every_answer(fused: Path) -> None:
    assert query(fused, "FROM layers").num_rows == 15
    assert query(fused, "FROM layer_metrics WHERE counted").num_rows == 6
    values = {"model": "*", "base": None, "profile": None, "largest": 6.0}
    answers = {
        "model_metrics": query(fused, "SELECT num_layers FROM model_metrics")["num_layers"].to_pylist(),
        "flow": designs(fused, selects("flow"), values)["flow"]["layers"].to_pylist(),
        "health, collapse": [designs(fused, selects("health", ("measured",)), values)["measured"].num_rows],
        "drift": designs(fused, selects("drift"), values)["averages"]["layers"].to_pylist(),
    }
    assert answers == {"model_metrics": [6], "flow": [6], "health, collapse": [6], "drift": [6, 6]}


def test_the_language_tables_leave_parts_of_fused_matrices_out(lake, make_table) -> None:
    profile = "published/weightwatcher-0.2"
    lake.catalog("s1", [("published/gpt2", "r")], name="gpt2 small", series="GPT2")
    kinds = ["embedding", "dense", "dense_part", "dense_part", "dense_part"]
    base = {"model_id": "published/gpt2", "revision": "r"}
    layers = [base | {"layer_id": i, "layer_type": k, "content_hash": f"h{i}"} for i, k in enumerate(kinds)]
    write(lake.directory, "layers", "r", make_table("layers", layers), "published/gpt2")
    row = {"unfold": "slices", "profile": profile, "profile_key": "k", "code_version": "1", "alpha": 3.0}
    rows = [row | {"slice_id": 0, "content_hash": f"h{i}"} for i in range(len(kinds))]
    write(lake.directory, "slice_metrics", "k", make_table("slice_metrics", rows), "published/gpt2")
    lake.build()
    language = designs(lake.directory, {"language": selects("natcomm2021")["language"]})["language"]
    assert language["layer_type"].to_pylist() == ["embedding", "dense"]
    assert query(lake.directory, "SELECT num_slices FROM model_slice_metrics")["num_slices"].to_pylist() == [1]


@pytest.mark.parametrize("profiles", ["natcomm2021", "weightwatcher,natcomm2021"])
def test_every_layer_that_a_filter_leaves_out_has_its_row(tmp_path: Path, profiles: str) -> None:
    (tmp_path / "zoo").mkdir()
    torch.manual_seed(0)
    state = {"big.weight": torch.randn(128, 64), "a.weight": torch.randn(64, 32), "b.weight": torch.randn(48, 32)}
    state |= {"conv.weight": torch.randn(64, 8, 3, 3), "tiny.weight": torch.randn(6, 4), "b.bias": torch.randn(48)}
    save_file(state, tmp_path / "zoo" / "m.safetensors")
    data = tmp_path / "data"
    for _ in range(2):  # the second scan knows everything from the first
        assert scan(tmp_path / "zoo", data, f"profiles={profiles}") == 0
        rows = query(data, "SELECT tensor, reason FROM skipped ORDER BY ALL").to_pylist()
        expected = {(name, "below_min_M") for name in ("a", "b", "conv", "tiny")} | {("b.bias", "vector")}
        if "weightwatcher" in profiles:
            expected.add(("tiny", "too_few_eigenvalues"))
        assert sorted(tuple(row.values()) for row in rows) == sorted(expected)
        run = query(data, "SELECT skipped FROM runs ORDER BY started DESC LIMIT 1")["skipped"].to_pylist()
        assert run == [len(rows)]
    outcomes = query(data, "SELECT longname, outcome FROM layer_metrics WHERE profile = 'natcomm2021' ORDER BY 1")
    assert dict(zip(*outcomes.to_pydict().values(), strict=True)) == {
        "a": "filtered",
        "b": "filtered",
        "big": "fit",
        "conv": "filtered",
        "tiny": "filtered",
    }


def test_a_part_without_outcomes_is_judged_by_its_alpha(whole: Path) -> None:
    got = query(whole, "SELECT DISTINCT alpha, outcome, counted FROM layer_metrics ORDER BY 1").to_pylist()
    assert [tuple(row.values()) for row in got] == [
        (2.0, "fit", True),
        (4.0, "fit", True),
        (None, "failed", False),
    ]


def test_an_outcome_that_contradicts_its_alpha_is_not_published(filled, make_metric) -> None:
    filled.metrics("local/b", "m2", [make_metric("h3", None, outcome="fit")])
    with pytest.raises(RuntimeError, match="a_fit_is_an_alpha"):
        filled.build()


def test_parts_of_an_older_version_lack_the_columns_and_are_read(filled) -> None:
    filled.metrics(
        "local/b",
        "m2",
        [
            {"content_hash": "h3", "unfold": "slices", "profile": "p", "profile_key": "k2"}
            | {"code_version": "1", "outcome": "filtered", "filtered_by": "min_M", "N": 8, "M": 4, "num_evals": 4}
        ],
    )
    for part in list_parts(filled.directory, ["layer_metrics"]):
        if part.path.name != "layer_metrics-m2.parquet":
            table = pq.read_table(part.path)
            pq.write_table(table.drop_columns(["outcome", "filtered_by"]), part.path)
    known = everything(filled.directory)
    assert known.filtered == {ResultId("h3", "slices", "k2", "1")} < known.metrics
    assert len([result for result in known.metrics if result.profile_key != "spectrum"]) == 4
    filled.build()
    rows = query(filled.directory, "SELECT outcome, count(*) AS n FROM layer_metrics GROUP BY 1 ORDER BY 1").to_pylist()
    assert {row["outcome"]: row["n"] for row in rows} == {"failed": 1, "filtered": 1, "fit": 3}


def test_no_statement_reads_prose() -> None:
    for file in (Path(__file__).resolve().parents[2] / "warehouse" / "sql").rglob("*.sql"):
        code = re.sub(r"--.*", "", file.read_text())
        assert not re.search(r"\b(status|warning|detail)\b\s*(=|<>|!=|~|LIKE|ILIKE|GLOB|IN\b)", code), file
