"""Published metrics as a source: a details table of WeightWatcher, a folder of them, or the 2021 paper's data.

Its models have rows, not tensors (Model.published). Without a path the paper's data is downloaded, verified, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zoospectra.zoo.fetch.errors import FetchError
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources.record import Crawl, Source
from zoospectra.zoo.sources.tables import layouts, natcomm2021


@dataclass(frozen=True, slots=True)
class PublishedOptions:
    """Options of `zoo=published`."""

    path: str | None = None
    """Details table, folder of such tables, or copy of the paper's data; None downloads the paper's data."""


def crawl(options: PublishedOptions, crawling: Crawl) -> tuple[Model, ...]:
    """Models with published rows. ValueError: a missing folder or README, a table that cannot be read or fetched."""
    folder = _download(crawling.cache) if options.path is None else Path(options.path)
    if natcomm2021.is_paper(folder):
        return natcomm2021.read(folder, crawling.zoo)
    layout = "ww-trends" if (folder / "osmr" / "df_all.csv").is_file() else "details"
    return layouts.read(str(folder), layout, crawling.zoo)


def _download(cache: Path) -> Path:
    files = natcomm2021.pins(natcomm2021.REPOSITORIES, natcomm2021.pinned_files())
    try:
        return natcomm2021.fetch(files, cache / "published")
    except FetchError as error:
        msg = f"the paper's data cannot be downloaded ({error}); give zoo.path=DIR of a copy"
        raise ValueError(msg) from error


SOURCE = Source("published", PublishedOptions, crawl)
