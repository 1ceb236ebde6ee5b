"""The contract against what really fills it: every column has a value somewhere, or a reason why none is here."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query
from zoospectra.warehouse.schema import PARTS

UNFILLED = {
    "slice_metrics.entropy": "only an own profile that works by slice and asks for the method norms has it",
    "slice_metrics.warning": "WeightWatcher 0.2 gives no advice, and none of these slices needs ours",
    "skipped.added": "a tensor that is listed and cannot be analysed has it, see tests/jobs/test_engine.py",
    "study_results.published": "the paper's study beside the paper's data, see tests/jobs/studies",
}
"""Columns that nothing here fills -> what does."""

AVERAGES = """,modelname,checkTF,alpha,alpha_weighted,logpnorm,lognorm,logspectralnorm,stable_rank
0,net,0.9,3.2,1.5,1.6,1.2,0.4,7.5
"""


def test_every_contract_column_is_filled_by_something(tmp_path: Path) -> None:
    data, tables = tmp_path / "data", tmp_path / "tables"
    zoo = make_zoo(tmp_path / "zoo", models=2)
    save_file({"h.0.attn.c_attn.weight": torch.randn(48, 144)}, zoo / "fused.safetensors")
    update = {"q.lora_A.weight": torch.randn(2, 24), "q.lora_B.weight": torch.randn(16, 2)}  # its scale is not known
    save_file(update, zoo / "update.safetensors")
    tuned = {name: value * 1.01 for name, value in load_file(zoo / "net0.safetensors").items() if value.ndim > 1}
    save_file(tuned, zoo / "tuned.safetensors")
    lines = ["file,series,dataset,metric,value,higher_is_better,source,source_date,licence,note,task"]
    lines += [f"net{i}.safetensors,s,d,top1_error,{i},false,test,2026-11-01,MIT,a note,vision" for i in range(2)]
    (zoo / "catalog.csv").write_text("\n".join(lines) + "\n")
    tables.mkdir()
    (tables / "averages.csv").write_text(AVERAGES)
    keep = [f"warehouse.dir={data}"]
    profiles = "profiles=weightwatcher,natcomm2021"
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", profiles, "cluster=inline", *keep]) == 0
    assert main(["catalog", "zoo=torchvision", "limit=1", *keep]) == 0
    assert main(["scan", "zoo=published", f"zoo.path={tables}", *keep]) == 0
    assert main(["study", "study=health", *keep]) == 0
    assert main(["study", "study=contest", *keep]) == 0
    assert main(["kin", "keep=true", *keep]) == 0
    assert main(["compare", str(zoo / "net0.safetensors"), str(zoo / "net1.safetensors"), "keep=true", *keep]) == 0
    empty = set()
    for kind, schema in PARTS.items():
        counts = ", ".join(f'count("{name}") AS "{name}"' for name in schema.names)
        (row,) = query(data, f"SELECT {counts} FROM {kind}").to_pylist()
        empty |= {f"{kind}.{name}" for name, count in row.items() if not count}
    assert empty - set(UNFILLED) == set(), "nothing fills these columns: fill them, or drop them from the contract"
