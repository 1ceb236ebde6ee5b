"""The data behind the Nature Communications paper, from a folder or from the public repositories, as published models.

Two repositories, pinned by commit and sha256: CalculatedContent/ww-trends-2020 (metrics) and osmr/imgclsmob (reported
errors, in the README of two dates). A folder of both is laid out as `ww-trends-2020/data/...` and
`imgclsmob/pytorch-README.<commit>.md`; data/natcomm2021.csv has one row a file.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from zoospectra.zoo.model import Model
from zoospectra.zoo.sources.packages.snapshots import pytorchcv
from zoospectra.zoo.sources.tables import gpt, layouts, torchvision2020

METRICS = Path("ww-trends-2020") / "data"
"""Where the metrics lie below the folder."""

REPOSITORIES = {
    "ww-trends-2020": "https://raw.githubusercontent.com/CalculatedContent/ww-trends-2020/"
    "efe472321357d1257d3bc731e94646923d733480/{path}",
    "imgclsmob": "https://raw.githubusercontent.com/osmr/imgclsmob/{path}",
}
"""Folder of a repository -> address of its files, at a pinned commit or with the commit in the path."""

READMES = {"pytorch-README.9c3f7bd7.md": "2021-01-08", "pytorch-README.9cd28477.md": "2020-02-03"}
"""README with reported errors -> ISO date of its commit, the newest first."""

FILES = Path(__file__).resolve().parent / "data" / "natcomm2021.csv"
"""Where each file goes below the folder, its sha256, and its path in the repository where that differs."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One file of a public repository."""

    path: str
    """Where it goes below the folder."""
    url: str
    """Address, with the commit in it."""
    sha256: str
    """sha256 of its bytes, hex."""


def pinned_files() -> list[dict[str, str]]:
    """Rows of data/natcomm2021.csv: path, sha256, path_in_repository."""
    with FILES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pins(repositories: Mapping[str, str], files: Sequence[Mapping[str, str]]) -> tuple[Pin, ...]:
    """Pins from plain values: REPOSITORIES and rows as `pinned_files` gives; ValueError for a path of no repository."""
    pinned = []
    for file in files:
        path = file["path"]
        folder, _, inner = path.partition("/")
        if folder not in repositories or ".." in path.split("/"):
            msg = f"{path}: expected a path that begins with one of {', '.join(repositories)}"
            raise ValueError(msg)
        url = repositories[folder].replace("{path}", quote(file["path_in_repository"] or inner))
        pinned.append(Pin(path, url, file["sha256"]))
    return tuple(pinned)


def fetch(files: Sequence[Pin], folder: Path) -> Path:
    """Download what the folder lacks, verified; returns the folder. FetchError names the file that cannot be had."""
    # Loaded late: listing the sources must not load an HTTP client.
    from zoospectra.zoo.fetch.download import download

    for pin in files:
        place = folder / pin.path
        if not place.is_file():
            got = download(pin.url, checksum=f"sha256:{pin.sha256}")
            place.parent.mkdir(parents=True, exist_ok=True)
            beside = place.with_name(place.name + ".part")
            beside.write_bytes(got.read_bytes())
            beside.replace(place)
    return folder


def is_paper(folder: Path) -> bool:
    """Whether a folder holds the paper's data."""
    return (folder / METRICS).is_dir()


def read(folder: Path, name: str) -> tuple[Model, ...]:
    """Every model of the paper with every number reported of it, in a fixed order; `name` is the zoo's.

    Series and data set are those of the newest README. Models of torchvision have the errors of 2020. ValueError: a
    README is missing, or a table cannot be read.
    """
    catalog: dict[str, Model] = {}
    for file, date in READMES.items():
        readme = folder / "imgclsmob" / file
        if not readme.is_file():
            msg = f"{readme} is missing: the errors that the tables regress on stand in it"
            raise ValueError(msg)
        commit = file.removeprefix("pytorch-README.").removesuffix(".md")
        origin = f"osmr/imgclsmob {commit} pytorch/README.md"
        for model in pytorchcv.of_readme(readme.read_text(encoding="utf-8"), origin, date):
            known = catalog.get(model.name)
            catalog[model.name] = replace(known, metrics=known.metrics + model.metrics) if known else model
    models = layouts.read(str(folder / METRICS), "ww-trends", name, tuple(catalog.values()))
    return (*(_with_errors(model) for model in models), gpt.read(name))


def _with_errors(model: Model) -> Model:
    if model.metrics or "/" in model.name:
        return model
    return replace(model, metrics=torchvision2020.reported(model.name))
