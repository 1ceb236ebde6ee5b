"""A folder of weight files as a zoo, with an optional catalog.csv; also a single file.

A file is a model when its suffix is one of a weight format's, readable or not, or when its first bytes are. A folder
with config.json and weights in the Hugging Face layout is one model. Hidden files, caches, and links that leave the
folder are passed over. Not covered: shards without an index, which count as one model each.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from zoospectra.zoo.checkpoint.formats import signature
from zoospectra.zoo.checkpoint.formats.folders import files_of, folder_format
from zoospectra.zoo.checkpoint.formats.huggingface import config_of, shards_of
from zoospectra.zoo.checkpoint.shards import is_model_folder
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources.catalog import CatalogEntry, read_catalog
from zoospectra.zoo.sources.fingerprint import FingerprintCache
from zoospectra.zoo.sources.record import Crawl, Source

CATALOG = "catalog.csv"
"""Name of the catalog inside the folder."""

TEXT = (
    ".txt",
    ".md",
    ".rst",
    ".json",
    ".yaml",
    ".yml",
    ".toml",
    ".csv",
    ".tsv",
    ".py",
    ".ipynb",
    ".sh",
    ".log",
    ".lock",
)
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".pdf", ".html")
NOT_WEIGHTS = frozenset(TEXT + PICTURES)
"""Suffixes that are never looked into."""

MISSING = "missing"
"""Revision of a model that the catalog lists and the folder lacks."""


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """Options of conf/zoo/local.yaml."""

    path: str | None = None
    """Folder of weight files, or one file."""

    def __post_init__(self) -> None:
        if not self.path:
            msg = f"path={self.path or 'null'}: expected a folder of weight files, or one file: zoo.path=DIR"
            raise ValueError(msg)


def crawl(path: str, name: str = "local", fingerprints: FingerprintCache | None = None) -> tuple[Model, ...]:
    """Models of a folder in the order of their paths, then those that only the catalog knows.

    `name` is the zoo's name and the first part of every model_id. Files are read for their checksum only, and only
    when `fingerprints` does not know them; the cache is saved at the end. ValueError: the folder is missing or holds
    no weights, or its catalog is malformed.
    """
    root = Path(path)
    cache = fingerprints if fingerprints is not None else FingerprintCache()
    if root.is_file():
        models = [_model(root, root.name, name, None, cache)]
    elif root.is_dir():
        listed = read_catalog(root / CATALOG) if (root / CATALOG).is_file() else {}
        present = {place.relative_to(root).as_posix(): place for place in candidates(root)}
        models = [_model(present[key], key, name, listed.get(key), cache) for key in sorted(present)]
        models += [_listed(root, listed[key], name, cache) for key in sorted(listed.keys() - present.keys())]
    else:
        msg = f"zoo.path={path}: no such file or folder; give a folder of weight files"
        raise ValueError(msg)
    if not models:
        msg = f"zoo.path={path} holds no weight files; expected one of {' '.join(signature.SUFFIXES)}"
        raise ValueError(msg)
    cache.save()
    return tuple(models)


def candidates(root: Path) -> Iterator[Path]:
    """Weight files and model folders below root, root itself included."""
    base = root.resolve()
    if _is_model(root):
        yield root
        return
    for folder, folders, files in os.walk(root):
        parent = Path(folder)
        folders.sort()
        models = [
            sub for sub in folders if not _ignored(sub) and _inside(parent / sub, base) and _is_model(parent / sub)
        ]
        yield from (parent / sub for sub in models)
        folders[:] = [sub for sub in folders if sub not in models and not _ignored(sub)]
        for file in sorted(files):
            if not _ignored(file) and _inside(parent / file, base) and is_weight_file(parent / file):
                yield parent / file


def _is_model(folder: Path) -> bool:
    """Whether a folder is one model: a published one, or one in a format of folders."""
    return is_model_folder(folder) or folder_format(folder) is not None


def is_weight_file(path: Path) -> bool:
    """Whether a file is one of a weight format, by suffix, else by its first bytes."""
    suffix = path.suffix.lower()
    if signature.TF_DATA.fullmatch(suffix):
        return path.is_file() and not path.with_suffix(".index").is_file()  # else a part of what the index is
    if suffix in signature.SUFFIXES:
        return path.is_file()
    if suffix in NOT_WEIGHTS or not path.is_file():
        return False
    try:
        file_format = signature.format_of(str(path))
    except CheckpointError:
        return False
    return file_format not in ("gzip", "zip", "tar", "pickle")


def _ignored(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__"


def _inside(path: Path, base: Path) -> bool:
    """Whether a file lies below base once links are followed."""
    return Path(os.path.realpath(path)).is_relative_to(base)


def _listed(root: Path, entry: CatalogEntry, zoo: str, cache: FingerprintCache) -> Model:
    """A model that only the catalog knows: its file is missing, or of a suffix that is never looked into."""
    path = root / entry.file
    if not _inside(path, root.resolve()):
        msg = f"{root / CATALOG}: {entry.file!r} is a link that leaves the folder; copy the file into it"
        raise ValueError(msg)
    return _model(path, entry.file, zoo, entry, cache)


def _model(path: Path, key: str, zoo: str, entry: CatalogEntry | None, cache: FingerprintCache) -> Model:
    """One model; one that cannot be read is listed all the same, and fails with its reason when it is opened."""
    digest = _digest(path, cache)
    known = entry if entry is not None else CatalogEntry(key)
    series = known.series
    if series is None and path.is_dir():
        series = _text(config_of(path), "model_type")
    # A file name need not be text; a model_id must be.
    name = (key if key != "." else path.resolve().name).encode("utf-8", "backslashreplace").decode("utf-8")
    return Model(
        model_id=f"{zoo}/{name}",
        zoo=zoo,
        name=name,
        revision=digest or MISSING,
        path=str(path.absolute()),
        series=series,
        dataset=known.dataset,
        task=known.task,
        weights_sha256=digest,
        licence=known.licence,
        note=known.note,
        metrics=known.metrics,
        extra=known.extra,
    )


def _digest(path: Path, cache: FingerprintCache) -> str | None:
    """sha256 of a file; of the sorted 'shard:sha256' lines for a folder; None when it cannot be read."""
    try:
        if not path.is_dir():
            return cache.sha256(str(path))
        files = files_of(path) or shards_of(path)
        lines = sorted(f"{shard.name}:{cache.sha256(str(shard))}\n" for shard in files)
    except (OSError, CheckpointError):
        return None
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _text(config: Mapping[str, object], key: str) -> str | None:
    value = config.get(key)
    return value if isinstance(value, str) and value else None


def _crawl(options: LocalOptions, crawling: Crawl) -> tuple[Model, ...]:
    return crawl(str(options.path), crawling.zoo, FingerprintCache.load(crawling.cache))


SOURCE = Source("local", LocalOptions, _crawl)
