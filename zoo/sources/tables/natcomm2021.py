"""The data behind the Nature Communications paper, from a folder or from the public repositories, as published models.

Two repositories, pinned: CalculatedContent/ww-trends-2020 (metrics) and osmr/imgclsmob (reported errors, in the README
of two dates). A folder of both is laid out as `ww-trends-2020/data/...` and `imgclsmob/pytorch-README.<commit>.md`.
Not covered: the pinned files and their checksums, which are the caller's (conf/published).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from zoospectra.zoo.fetch.download import download
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources.packages.snapshots import pytorchcv
from zoospectra.zoo.sources.tables import gpt, published, torchvision2020
from zoospectra.zoo.sources.tables.record import Published

METRICS = Path("ww-trends-2020") / "data"
"""Where the metrics lie below the folder."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One file of a public repository."""

    path: str
    """Where it goes below the folder."""
    url: str
    """Address, with the commit in it."""
    sha256: str
    """sha256 of its bytes, hex."""


def pins(repositories: Mapping[str, Mapping[str, str]], files: Mapping[str, str]) -> tuple[Pin, ...]:
    """Pins from plain values.

    repositories: folder -> {'url': 'https://.../{path}'}; files: path below the whole folder -> 'sha256', or
    'sha256 path' where the repository has it under another path. ValueError for a path of no repository.
    """
    found = []
    for path, words in files.items():
        folder, _, inner = path.partition("/")
        digest, _, other = words.partition(" ")
        if folder not in repositories or ".." in path.split("/"):
            msg = f"{path}: expected a path that begins with one of {', '.join(repositories)}"
            raise ValueError(msg)
        found.append(Pin(path, repositories[folder]["url"].replace("{path}", quote(other or inner)), digest))
    return tuple(found)


def fetch(files: tuple[Pin, ...], folder: Path) -> Path:
    """Download what the folder lacks, verified; returns the folder. FetchError names the file that cannot be had."""
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


def read(folder: Path, name: str, dates: Mapping[str, str]) -> tuple[Published, ...]:
    """Every model of the paper with every number reported of it, in a fixed order.

    dates: README file name -> its ISO date, the newest first: series and data set are those of the first one. Models of
    torchvision have the errors of 2020. ValueError: a README is missing, or a table cannot be read.
    """
    catalogue: dict[str, Model] = {}
    for file, date in dates.items():
        readme = folder / "imgclsmob" / file
        if not readme.is_file():
            msg = f"{readme} is missing: the errors that the tables regress on stand in it"
            raise ValueError(msg)
        said = f"osmr/imgclsmob {file.removeprefix('pytorch-README.').removesuffix('.md')} pytorch/README.md"
        for model in pytorchcv.of_readme(readme.read_text(encoding="utf-8"), said, date):
            known = catalogue.get(model.name)
            catalogue[model.name] = replace(known, metrics=known.metrics + model.metrics) if known else model
    models = published.read(str(folder / METRICS), "ww-trends", name, tuple(catalogue.values()))
    return (*(_with_errors(one) for one in models), gpt.read(name))


def _with_errors(one: Published) -> Published:
    if one.model.metrics or "/" in one.model.name:
        return one
    return replace(one, model=replace(one.model, metrics=torchvision2020.reported(one.model.name)))
