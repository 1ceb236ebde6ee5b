"""The pytorchcv zoo: 594 trained image, segmentation, pose and speech nets of Oleg Semery.

URL: https://github.com/osmr/pytorchcv, weights in the releases of https://github.com/osmr/imgclsmob
Licence: MIT
Sample row: resnet18, 77a56f15, ResNet, imagenet-1k, top5_error 8.96, .../resnet18-0896-77a56f15.pth.zip

Read from a snapshot of the package's own tables (snapshots/pytorchcv.py says what each number means), offline.
`model_id` is pytorchcv/<name>/<first eight digits of the sha1 of the unzipped weights>: new weights are a new model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoospectra.zoo.model import Model
from zoospectra.zoo.sources.packages.release import check_files, released
from zoospectra.zoo.sources.packages.snapshots import pytorchcv, table
from zoospectra.zoo.sources.record import Crawl, Source


@dataclass(frozen=True, slots=True)
class PytorchcvOptions:
    """Options of `zoo=pytorchcv`."""

    versions: list[str] = field(default_factory=list)
    """Versions of the package whose snapshots are read; the newest when empty."""
    readmes: list[dict[str, str]] = field(default_factory=list)
    """READMEs of other times, each {path, commit, date}: a file, its commit, an ISO date."""

    def __post_init__(self) -> None:
        check_files("readmes", self.readmes, ("path", "commit", "date"))


def crawl(versions: Sequence[str] = (), readmes: Sequence[Mapping[str, str]] = ()) -> tuple[Model, ...]:
    """Models with weights, in the package's order, from the newest snapshot or from all `versions`, merged.

    `readmes` are READMEs of other times, each {'path': file, 'commit': its commit, 'date': ISO date}: numbers that they
    report about the same weights stand beside the newer ones, other weights are models of their own.
    ValueError: an unknown version, a file that cannot be read or is not that README.
    """
    older = [of_readme(**readme) for readme in sorted(readmes, key=lambda readme: readme.get("date", ""))]
    return table.merge([*older, table.load("pytorchcv", versions)])


def of_readme(path: str, commit: str = "", date: str | None = None) -> tuple[Model, ...]:
    """Models of a README of pytorchcv or osmr/imgclsmob; ValueError when it cannot be read or is another file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"README of pytorchcv {path}: cannot be read: {error}"
        raise ValueError(msg) from error
    origin = f"osmr/imgclsmob {commit} {Path(path).name}" if commit else f"osmr/imgclsmob {Path(path).name}"
    return pytorchcv.of_readme(text, origin, date)


def _crawl(options: PytorchcvOptions, crawling: Crawl) -> tuple[Model, ...]:
    return released(crawl(options.versions, options.readmes), crawling.zoo)


SOURCE = Source("pytorchcv", PytorchcvOptions, _crawl)
