"""A folder of weight files as a zoo, with an optional catalog.csv; also a single file.

A file is a model when its suffix is one of a weight format's, readable or not, or when its first bytes are; which files
together are one, and which are none, is in zoo.checkpoint.folder. A torch or safetensors file with several nets is
several models, 'gan.pth#netG' and 'gan.pth#netD', unless the catalog names the file itself; their names are read from
its header once and kept with its checksum. A file with nothing but the state of an optimizer is no model: the nearest
model, read anew, has a row for it. Below a hub's cache only snapshots are looked at. Hidden files, caches, and links
that leave the folder are passed over, and links to folders that are walked anyway.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from zoospectra.zoo.checkpoint.folder import INDEX, listing
from zoospectra.zoo.checkpoint.formats import listed_nets, place, signature
from zoospectra.zoo.checkpoint.formats.folders import parts_of
from zoospectra.zoo.checkpoint.formats.huggingface import config_of, shards_of
from zoospectra.zoo.checkpoint.formats.sharded import files_of
from zoospectra.zoo.checkpoint.formats.table import SUFFIXES
from zoospectra.zoo.checkpoint.plain import may_be_file
from zoospectra.zoo.checkpoint.shards import RANK_FOLDER, is_model_folder, weights_of
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip
from zoospectra.zoo.model import Model, as_text
from zoospectra.zoo.sources import fingerprint
from zoospectra.zoo.sources.bases import with_bases
from zoospectra.zoo.sources.catalog import CatalogEntry, read_catalog
from zoospectra.zoo.sources.fingerprint import STATE, FingerprintCache, state_revision
from zoospectra.zoo.sources.record import Crawl, Source
from zoospectra.zoo.sources.watch import WATCH
from zoospectra.zoo.spool import spooled

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
    """Options of `zoo=local`."""

    path: str | None = None
    """Folder of weight files, or one file."""
    base: str | None = None
    """Base of its adapters: a file, a folder, or author/name[@revision] of the hub; null is the one that an adapter
    names, where that is on this machine."""
    rehash: bool = False
    """Whether every file is read for its checksum, also those whose size, modification time and inode are as before."""

    def __post_init__(self) -> None:
        if not self.path:
            msg = f"path={self.path or 'null'}: expected a folder of weight files, or one file: zoo.path=DIR"
            raise ValueError(msg)


def crawl(
    path: str, name: str = "local", fingerprints: FingerprintCache | None = None, base: str | None = None
) -> Sequence[Model]:
    """Models of a folder in the order of their paths, then those that only the catalog knows.

    `name` is the zoo's name and the first part of every model_id. Files are read for their checksum only, and only
    when `fingerprints` does not know them; the cache is saved at the end. Adapters come with their `base` too, see
    zoo.sources.bases. ValueError: the folder is missing or holds no weights, or its catalog is malformed.
    """
    root = Path(path)
    WATCH.at(path)
    cache = fingerprints if fingerprints is not None else FingerprintCache()
    if root.is_file():
        present, left = _nets(root.parent, [root.name], {}, cache)
        models = spooled(_model(root.parent / key, key, name, None, cache) for key in present)
    elif root.is_dir():
        listed = read_catalog(root / CATALOG) if (root / CATALOG).is_file() else {}
        blocked: list[OSError] = []
        keys = sorted(place.relative_to(root).as_posix() for place in candidates(root, blocked.append))
        present, left = _nets(root, keys, listed, cache)
        known = (_model(root / key, key, name, listed.get(key), cache) for key in present)
        absent = (_listed(root, listed[key], name, cache) for key in sorted(listed.keys() - present))
        models = spooled(chain(known, absent, (_blocked(error, root, name) for error in blocked)))
    else:
        msg = f"zoo.path={path}: no such file or folder; give a folder of weight files"
        raise ValueError(msg)
    if not models:
        msg = f"zoo.path={path} holds no weight files; expected one of {' '.join(SUFFIXES)}"
        raise ValueError(msg)
    found = spooled(with_bases(_with_rows(models, left), base, lambda place: _digest(place, cache)))
    cache.save()
    WATCH.at("")
    return found


def _with_rows(models: Sequence[Model], left: Sequence[str]) -> Sequence[Model]:
    """The models, each with a row for every file of training that is nearest to it: in its folder, or in one above."""
    if not left:
        return models
    firsts: dict[str, int] = {}  # of a folder
    for number, model in enumerate(models):
        for folder in _folders(model.name):
            firsts.setdefault(folder, number)
    rows: dict[int, list[Skip]] = {}
    for key in left:
        nearest = next(firsts[folder] for folder in _folders(key) if folder in firsts)
        name = key.encode("utf-8", "backslashreplace").decode("utf-8")
        detail = "a file of the zoo that is no model: the state of training"
        rows.setdefault(nearest, []).append(Skip(name, Reason.OPTIMIZER_STATE, detail, False))
    return spooled(replace(model, beside=tuple(rows.get(number, ()))) for number, model in enumerate(models))


def _folders(name: str) -> Iterator[str]:
    """A name of the zoo and the folders it is in, the deepest first, '' last."""
    while name:
        yield name
        name = name.rpartition("/")[0]
    yield ""


def tree(root: Path) -> dict[str, Path]:
    """What the models below a folder are opened by, under their names in its zoo, nets of one file each; no checksums.

    A folder that is a model has the name '.'; files of training state are left out.
    """
    keys = sorted(place.relative_to(root).as_posix() for place in candidates(root))
    present, _ = _nets(root, keys, {}, FingerprintCache(None, lambda _: ""))
    return {key: root / key for key in present}


def candidates(root: Path, blocked: Callable[[OSError], None] = lambda error: None) -> Iterator[Path]:
    """What models are opened by, below root: files, folders (root itself included), the first of several files.

    blocked: takes the error of a folder that cannot be listed; OSError when root itself cannot.
    """
    base = _base(root)
    with os.scandir(root) as entries:
        next(entries, None)
    for folder, folders, files in os.walk(root, onerror=blocked):
        parent = Path(folder)
        try:
            models: Iterable[Path] = _models_in(parent, folders, files, base)
        except OSError as error:
            blocked(error)
            models = ()
        yield from models
        folders[:] = sorted(name for name in folders if _walked(parent, name, folders))


def _models_in(parent: Path, folders: list[str], files: Sequence[str], base: Path) -> Iterable[Path]:
    """What models of one folder are opened by; `folders` loses those that are parts of one. OSError: a blocked way."""
    parts = {path.relative_to(parent).parts[0] for path in parts_of(parent)}  # a folder in a format of folders
    within = _inside(parent, base)
    models = [parent] if parts and within else []
    names = [name for name in files if not _ignored(name) and name not in parts]
    names = [n for n in names if (_inside(parent / n, base) if os.path.islink(parent / n) else within)]
    folders[:] = [name for name in folders if name not in parts]
    weights = [name for name in names if is_weight_file(parent / name)]
    WATCH.at(str(parent))
    listed = listing(names, weights, _read_by(parent) if within else ()).models
    return chain(models, (parent / name if name else parent for name in listed))


def _walked(parent: Path, name: str, folders: Collection[str]) -> bool:
    """Whether a folder is looked into: no link, for what it leads to is walked itself or lies outside; of a hub's cache
    no blobs, which snapshots link to; of the ranks of a model the first, which opens them all.
    """
    blobs = name == "blobs" and "snapshots" in folders
    rank = RANK_FOLDER.fullmatch(name) and name != min(f for f in folders if RANK_FOLDER.fullmatch(f))
    return not (_ignored(name) or blobs or rank or os.path.islink(parent / name))


def _read_by(folder: Path) -> list[str]:
    """Names of the files that a model's folder reads, of its index where that is no good; none if it is no model."""
    if not is_model_folder(folder):
        return []
    try:
        return [file.name for file in shards_of(folder)]
    except CheckpointError:
        return [file.name for file in (weights_of(folder),) if file]


def _base(root: Path) -> Path:
    """The folder that links may lead into: root, or the hub's folder of the model that root is a snapshot of."""
    base = root.resolve()
    hubs = (p.parent for p in (base, *base.parents) if p.name == "snapshots" and (p.parent / "blobs").is_dir())
    return next(hubs, base)


def _nets(
    root: Path, keys: Sequence[str], listed: Mapping[str, CatalogEntry], cache: FingerprintCache
) -> tuple[Sequence[str], list[str]]:
    """The same names below root with one a net, for files with several nets that the catalog does not name; and the
    files of training state, which are none.
    """
    present: list[str] = []
    left: list[str] = []
    several = False
    for key in keys:
        path = os.path.join(root, key)
        nets = cache.nets(path, listed_nets) if key not in listed and os.path.isfile(path) else None
        if nets is None:
            present.append(key)
        else:
            several = True
            present += [f"{key}#{net}" for net in nets]
            left += [] if nets else [key]
    return list(dict.fromkeys(present)) if several else present, left  # a file may be called as a net is


def is_weight_file(path: Path) -> bool:
    """Whether a file is one of a weight format, by suffix, else by its first bytes."""
    WATCH.at(str(path))
    if path.name.endswith(INDEX):
        return may_be_file(path)
    suffix = path.suffix.lower()
    if signature.TF_DATA.fullmatch(suffix):
        return path.is_file() and not path.with_suffix(".index").is_file()  # else a part of what the index is
    if suffix in SUFFIXES:
        return not os.path.isdir(path)
    if suffix in NOT_WEIGHTS or not may_be_file(path):
        return False
    try:
        file_format = signature.format_of(str(path))
    except CheckpointError as error:
        return error.reason is Reason.INACCESSIBLE
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


def _blocked(error: OSError, root: Path, zoo: str) -> Model:
    """A folder that could not be listed: whatever models it holds, the zoo has a row for them."""
    path = Path(error.filename)
    name = as_text(path.relative_to(root).as_posix())
    skip = Skip(None, Reason.INACCESSIBLE, f"{path.absolute()}: {error.strerror}: what it holds is not known", True)
    return Model(f"{zoo}/{name}", zoo, name, MISSING, str(path.absolute()), trouble=skip)


def _model(path: Path, key: str, zoo: str, entry: CatalogEntry | None, cache: FingerprintCache) -> Model:
    """One model; one that cannot be read is listed all the same, and fails with its reason when it is opened."""
    digest = _digest(path, cache)
    known = entry if entry is not None else CatalogEntry(key)
    series = known.series
    if series is None and os.path.isdir(path):
        series = _text(config_of(path), "model_type")
    # A file name need not be text; a model_id must be.
    name = as_text(key if key != "." else path.resolve().name)
    return Model(
        model_id=f"{zoo}/{name}",
        zoo=zoo,
        name=name,
        revision=digest or MISSING,
        path=str(path.absolute()),
        series=series,
        dataset=known.dataset,
        task=known.task,
        weights_sha256=None if digest is None or digest.startswith(STATE) else digest,
        licence=known.licence,
        note=known.note,
        metrics=known.metrics,
        extra=known.extra,
    )


def _digest(path: Path, cache: FingerprintCache) -> str | None:
    """sha256 of a file; of the sorted 'shard:sha256' lines of several; of a large model see zoo.sources.fingerprint.

    None when they cannot be read.
    """
    try:
        opened, files = _files(path)
        names = [str(file) for file in files]
        if sum(map(cache.size, names)) > fingerprint.LARGE and not all(map(cache.knows, names)):
            return _state(opened, files)
        if files == [opened]:
            return cache.sha256(str(opened))
        base = opened if os.path.isdir(opened) else opened.parent
        lines = sorted(f"{os.path.relpath(shard, base)}:{cache.sha256(str(shard))}\n" for shard in files)
    except (OSError, CheckpointError):
        return None
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def pinned(path: str) -> str | None:
    """The revision of a file or folder as it is now, its bytes read; None when they cannot be."""
    return _digest(Path(path), FingerprintCache())


def changed(path: str, revision: str) -> bool:
    """Whether the files of a large model are not those any more that a revision of their state was made from."""
    if not revision.startswith(STATE):
        return False
    try:
        return _state(*_files(Path(path))) != revision
    except (OSError, CheckpointError):
        return True


def _files(path: Path) -> tuple[Path, list[Path]]:
    """The file or folder that a model is opened by, and its files."""
    opened = Path(place(str(path))[0])
    return opened, list((parts_of(opened) or shards_of(opened)) if os.path.isdir(opened) else files_of(opened))


def _state(opened: Path, files: Sequence[Path]) -> str:
    base = opened if os.path.isdir(opened) else opened.parent
    return state_revision((os.path.relpath(file, base), file) for file in files)


def _text(config: Mapping[str, object], key: str) -> str | None:
    value = config.get(key)
    return value if isinstance(value, str) and value else None


def _crawl(options: LocalOptions, crawling: Crawl) -> Sequence[Model]:
    known = FingerprintCache.load(crawling.cache, doubt=options.rehash)
    return crawl(str(options.path), crawling.zoo, known, options.base)


SOURCE = Source("local", LocalOptions, _crawl)
