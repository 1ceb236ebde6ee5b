"""catalog.csv: the real one, every column, and every way to get a row wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoospectra.zoo.model import ReportedMetric
from zoospectra.zoo.sources.catalog import read_catalog


def written(folder: Path, text: str) -> Path:
    path = folder / "catalog.csv"
    path.write_bytes(text.encode())
    return path


def test_the_real_catalog(shared: Path) -> None:
    entries = read_catalog(shared / "zoo" / "catalog.csv")
    assert len(entries) == 21
    entry = entries["cifar10-resnet/resnet20-12fca82f.th"]
    assert (entry.series, entry.dataset, entry.licence) == ("ResNet-CIFAR", "cifar-10", "BSD-2-Clause")
    source = "akamaster/pytorch_resnet_cifar10 README"
    assert entry.metrics == (ReportedMetric("cifar-10", "top1_error", 8.27, False, source),)
    assert entries["formats/lora_disney.safetensors"].metrics == ()


def test_rows_of_one_file_add_up_and_other_columns_are_kept(tmp_path: Path) -> None:
    text = (
        "\ufefffile,series,dataset,metric,value,higher_is_better,source,note,depth,width,optimizer\r\n"
        'm.pt,VGG,CIFAR-10,top1,91.5,TRUE,paper,"two, words\nand a line",11,0.5,sgd\r\n'
        "\r\n"
        "m.pt,,cifar-100,loss,1e-3,no,,,11,,\r\n"
    )
    (entry,) = read_catalog(written(tmp_path, text)).values()
    assert entry.metrics == (
        ReportedMetric("cifar-10", "top1", 91.5, True, "paper"),
        ReportedMetric("cifar-100", "loss", 0.001, False, "catalog.csv"),
    )
    assert (entry.series, entry.dataset) == ("VGG", "CIFAR-10")
    assert entry.note == "two, words\nand a line"
    assert entry.extra == {"depth": 11, "width": 0.5, "optimizer": "sgd"}
    assert type(entry.extra["depth"]) is int


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: expected a header with the column file"),
        ("name,series\na,b\n", "line 1: expected a header"),
        ("file,file\na,b\n", "line 1: column names must be unique"),
        ("file,model_id\na,b\n", "line 1: column names must be .* not .*model_id"),
        ("file,series\na,b\nc\n", "line 3: expected 2 columns, got 1"),
        ("file,series\na,b,c\n", "line 2: expected 2 columns, got 3"),
        ("file,series\n,b\n", "line 2: expected the path of a file"),
        ("file\n../secret.pt\n", "line 2: expected the path of a file inside this folder"),
        ("file\n/etc/passwd\n", "line 2: expected the path of a file inside this folder"),
        ("file,dataset,metric,value,higher_is_better\na,d,top1,good,true\n", "line 2: expected a finite number"),
        ("file,dataset,metric,value,higher_is_better\na,d,top1,nan,true\n", "line 2: expected a finite number"),
        ("file,dataset,metric,value,higher_is_better\na,d,top1,3,up\n", "line 2: higher_is_better must be true or"),
        ("file,dataset,metric,value\na,d,top1,3\n", "line 2: higher_is_better must be true or false"),
        ("file,metric,value,higher_is_better\na,top1,3,true\n", "line 2: top1 has a value but no dataset"),
        ("file,series\na,b\na,c\n", "line 3: series of a is 'c' here and 'b' above"),
        ("file,depth\na,1\na,2\n", r"line 3: columns \['depth'\] of a differ"),
        ('file,note\na,"open\n', "not well-formed CSV"),
    ],
)
def test_a_malformed_row_names_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_catalog(written(tmp_path, text))


def test_a_catalog_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.csv"
    path.write_bytes("file,note\na,ü\n".encode("latin-1"))
    with pytest.raises(ValueError, match="cannot be read as UTF-8"):
        read_catalog(path)
