"""The timm zoo: 1826 pretrained image backbones, most of them on the Hugging Face hub.

URL: https://github.com/huggingface/pytorch-image-models, weights at https://huggingface.co/timm
Licence: each set of weights has its own, from Apache-2.0 to non-commercial ones
Sample row: resnet50.a1_in1k, resnet, imagenet-1k, apache-2.0, .../timm/resnet50.a1_in1k/resolve/main/model.safetensors
Results row: eva_giant_patch14_560.m30m_ft_in22k_in1k,89.786,10.214,98.992,1.008,"1,014.45",560,1.000,bicubic

Read from a snapshot (snapshots/timm.py): the package is never imported. It knows no accuracies; they come from
the results files of its repository, results/results-*.csv, that the user points to with their commit and date.
Not covered: results of models that the snapshot does not list (older names without a tag), which are passed over.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from zoospectra.zoo.model import Model, ReportedMetric
from zoospectra.zoo.sources.packages.release import check_files, released
from zoospectra.zoo.sources.packages.snapshots import table
from zoospectra.zoo.sources.record import Crawl, Source

MEASURED = {
    "results-imagenet.csv": "imagenet-1k",
    "results-imagenet-real.csv": "imagenet-real",
    "results-imagenet-a.csv": "imagenet-a",
    "results-imagenet-a-clean.csv": "imagenet-a-clean",
    "results-imagenet-r.csv": "imagenet-r",
    "results-imagenet-r-clean.csv": "imagenet-r-clean",
    "results-imagenetv2-matched-frequency.csv": "imagenetv2-matched-frequency",
    "results-sketch.csv": "imagenet-sketch",
}
"""Results file -> data set that it reports on."""

NUMBERS = {"top1": "top1_accuracy", "top5": "top5_accuracy"}
"""Column of a results file -> metric, in percent, higher is better; the errors beside them are 100 less these."""


@dataclass(frozen=True, slots=True)
class TimmOptions:
    """Options of `zoo=timm`."""

    versions: list[str] = field(default_factory=list)
    """Versions of the package whose snapshots are read; the newest when empty."""
    results: list[dict[str, str]] = field(default_factory=list)
    """Results files of its repository, each {path, commit, date, dataset}: a file, its commit, an ISO date, and what
    it reports on where its name does not tell."""

    def __post_init__(self) -> None:
        check_files("results", self.results, ("path", "commit", "date", "dataset"))


def crawl(versions: Sequence[str] = (), results: Sequence[Mapping[str, str]] = ()) -> tuple[Model, ...]:
    """Weights in the package's order, from the newest snapshot or from all `versions`, merged.

    `results` are results files, each {'path': file, 'commit': its commit, 'date': ISO date, 'dataset': what it reports
    on, which the file's name tells when missing}; several commits of one file stand side by side.
    ValueError: an unknown version, a file that cannot be read, a column or number that is missing or malformed.
    """
    models = table.load("timm", versions)
    numbers: dict[str, list[ReportedMetric]] = {}
    for result in results:
        for name, metrics in read_results(**result).items():
            numbers.setdefault(name, []).extend(metrics)
    return tuple(replace(model, metrics=(*model.metrics, *numbers.get(model.name, ()))) for model in models)


def read_results(
    path: str, commit: str = "", date: str | None = None, dataset: str | None = None
) -> dict[str, tuple[ReportedMetric, ...]]:
    """Metrics by model name of one results file, in its order; ValueError says which line is wrong and why."""
    measured = dataset or MEASURED.get(Path(path).name)
    if measured is None:
        msg = f"results file {path}: which data set? give `dataset`, or keep one of the names {', '.join(MEASURED)}"
        raise ValueError(msg)
    try:
        rows = csv.DictReader(io.StringIO(Path(path).read_text(encoding="utf-8"), newline=""))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"results file {path}: cannot be read: {error}"
        raise ValueError(msg) from error
    missing = {"model", *NUMBERS} - set(rows.fieldnames or ())
    if missing:
        msg = f"results file {path}: no column {', '.join(sorted(missing))}; expected timm's results-*.csv"
        raise ValueError(msg)
    origin = f"timm results {Path(path).name}" + (f" {commit}" if commit else "")
    reported = {}
    for row in rows:
        line = f"{path}, line {rows.line_num}"
        reported[row["model"]] = tuple(
            ReportedMetric(measured, metric, _number(row[column], f"{line}, {column}"), True, origin, date, row[column])
            for column, metric in NUMBERS.items()
        )
    return reported


def _number(text: str | None, place: str) -> float:
    """A number as the results files write it, thousands separated by commas."""
    try:
        value = float((text or "").replace(",", ""))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        msg = f"{place}: expected a number such as '89.786' or '1,014.45', got {text!r}"
        raise ValueError(msg)
    return value


def _crawl(options: TimmOptions, crawling: Crawl) -> tuple[Model, ...]:
    return released(crawl(options.versions, options.results), crawling.zoo)


SOURCE = Source("timm", TimmOptions, _crawl)
