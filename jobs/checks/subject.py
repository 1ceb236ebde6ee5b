"""What the target of a check means: a file, the models of a folder, a model of the warehouse or of the hub."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from zoospectra.jobs.checks.record import Subject
from zoospectra.jobs.words.verb import did_you_mean
from zoospectra.warehouse.query import query
from zoospectra.zoo.checkpoint.formats import listed_nets, place
from zoospectra.zoo.checkpoint.formats.table import SUFFIXES
from zoospectra.zoo.checkpoint.plain import may_be_file
from zoospectra.zoo.sources.hub.query import ID, parse_id


def subjects(target: str, warehouse: Path) -> tuple[Subject, ...]:
    """The models that `target` means, in this order: a path, a model_id or glob of the warehouse, an id of the hub.

    A folder of checkpoints is all of them, a file of several nets its nets. ValueError when it is none of these.
    """
    if Path(place(target)[0]).exists():
        return tuple(Subject(path, path, warehouse) for path in _paths(target))
    stored = stored_models(warehouse)
    if matching := [name for name in stored if name == target] or [
        name for name in stored if fnmatchcase(name, target)
    ]:
        return tuple(Subject(name, None, warehouse) for name in matching)
    if ID.fullmatch(target.partition("@")[0]) and "/" in target:
        return tuple(Subject(name, path, warehouse) for name, path in _hub(target))
    known = f", or a model of {warehouse}{did_you_mean(target, stored)}" if stored else ""
    msg = f"{target}: no such file or folder; expected one, an id of the hub such as openai-community/gpt2{known}"
    raise ValueError(msg)


def checkpoint(target: str, warehouse: Path) -> Subject:
    """The one checkpoint that `target` means, to be read: as `subjects`, a model of the warehouse by its kept path.

    ValueError for several, for none, and for a model whose checkpoint is no longer where the catalog had it.
    """
    where = Path(place(target)[0])
    file = target.startswith((".", "/")) or Path(target).suffix in SUFFIXES
    if file and not where.exists() and target not in stored_models(warehouse):
        msg = f"{target}: no such file or folder"
        raise ValueError(msg)
    chosen = (Subject(target, target, warehouse),) if where.exists() else subjects(target, warehouse)
    if len(chosen) > 1:
        msg = f"{target}: expected one checkpoint, it means {len(chosen)}: {chosen[0].name}, {chosen[1].name}, ..."
        raise ValueError(msg)
    if chosen[0].path is not None:
        return chosen[0]
    return Subject(chosen[0].name, kept_path(chosen[0]), warehouse)


def kept_path(subject: Subject) -> str:
    """Where the catalog had the checkpoint of a model of the warehouse; ValueError when it is there no more."""
    sql = "SELECT path FROM models WHERE model_id = $model ORDER BY latest DESC LIMIT 1"
    paths: list[str | None] = query(subject.warehouse, sql, {"model": subject.name})["path"].to_pylist()
    path = paths[0] if paths else None
    if not path or ("://" not in path and not Path(place(path)[0]).exists()):
        msg = f"{subject.name}: its checkpoint is not where the catalog had it, {path}"
        raise ValueError(msg)
    return path


def _paths(target: str) -> list[str]:
    """Checkpoints at a path: itself, its nets, or what a folder holds."""
    from zoospectra.zoo.sources.local import candidates

    where, net = place(target)
    if net is not None:
        return [target]
    if not Path(where).is_dir():
        if not may_be_file(where):
            msg = f"{target}: a pipe, a socket or a device; expected a checkpoint, or a folder of them"
            raise ValueError(msg)
        return [f"{target}#{name}" for name in listed_nets(where) or ()] or [target]
    if not any(Path(where).iterdir()):
        msg = f"{target}: an empty folder; expected a checkpoint, or a folder of them"
        raise ValueError(msg)
    inside = sorted(candidates(Path(where)))
    return [str(path) for path in inside] or [target]


def of_hub(target: str, warehouse: Path) -> Subject:
    """The model of the hub of that id, author/name or author/name@revision; ValueError for what is no id."""
    parse_id(target)
    ((name, path),) = _hub(target)
    return Subject(name, path, warehouse)


def stored_models(warehouse: Path) -> list[str]:
    """Models with layers, or failures, in the warehouse; none where there is no warehouse."""
    if not (warehouse / "warehouse.duckdb").exists():
        return []
    sql = "SELECT model_id FROM layers UNION SELECT model_id FROM skipped WHERE failed ORDER BY 1"
    names: list[str] = query(warehouse, sql)["model_id"].to_pylist()
    return names


def _hub(target: str) -> list[tuple[str, str]]:
    """Name and locator of a model of the hub."""
    from zoospectra.zoo.sources.hub.huggingface import crawl
    from zoospectra.zoo.sources.hub.query import HubOptions

    return [(model.model_id, model.path) for model in crawl(HubOptions(ids=[target]))]
