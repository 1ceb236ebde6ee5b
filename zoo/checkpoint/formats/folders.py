"""Folders that are one model in a format of their own: told by the files in them, and which of those are its parts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

MAX_HEAD = 1 << 20
"""Bytes of a model.json that are looked at."""

DEEPSPEED = re.compile(r"(zero_pp_rank_\d+_)?mp_rank_\d+(_\d+)?_model_states\.pt")
"""Name of a file of DeepSpeed's with the module."""

PARTS: dict[str, re.Pattern[str]] = {
    "distcp": re.compile(r"\.metadata|.+\.distcp"),
    "deepspeed": re.compile(rf"{DEEPSPEED.pattern}|(bf16_)?zero_pp_rank_\d+_mp_rank_\d+(_\d+)?_optim_states\.pt"),
    "saved_model": re.compile(r"saved_model\.pb|keras_metadata\.pb|fingerprint\.pb"),
    "tfjs": re.compile(r"model\.json|.+\.bin"),
    "orbax": re.compile(r"_METADATA|_CHECKPOINT_METADATA|manifest\.ocdbt|checkpoint"),
}
"""Format of a folder -> names of the files in it that are its parts."""


def folder_format(folder: Path) -> str | None:
    """Key of table.FORMATS of a folder that is one model; None for any other folder, a published one among them."""
    return next((name for name, test in TESTS.items() if test(folder)), None)


def parts_of(folder: Path) -> list[Path]:
    """Files of the model that a folder of such a format is, sorted."""
    kind = folder_format(folder)
    if kind is None:
        return []
    files = [path for path in folder.iterdir() if PARTS[kind].fullmatch(path.name)]
    inner = folder / "variables" if kind == "saved_model" else folder / "d" if kind == "orbax" else None
    files += inner.iterdir() if inner is not None and inner.is_dir() else ()
    return sorted(path for path in files if path.is_file())


def _distcp(folder: Path) -> bool:
    return (folder / ".metadata").is_file() and _any(folder, PARTS["distcp"])


def _deepspeed(folder: Path) -> bool:
    return _any(folder, DEEPSPEED)


def _saved_model(folder: Path) -> bool:
    return (folder / "saved_model.pb").is_file() and (folder / "variables").is_dir()


def _tfjs(folder: Path) -> bool:
    path = folder / "model.json"
    try:
        with path.open("rb") as file:
            return b'"weightsManifest"' in file.read(MAX_HEAD) or _late(path)
    except OSError:
        return False


def _late(path: Path) -> bool:
    """Whether a large model.json names its weights behind its topology."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MAX_HEAD))
        return b'"weightsManifest"' in file.read(MAX_HEAD)


def _orbax(folder: Path) -> bool:
    return (folder / "_METADATA").is_file() and ((folder / "manifest.ocdbt").is_file() or (folder / "d").is_dir())


def _any(folder: Path, pattern: re.Pattern[str]) -> bool:
    """Whether a file of the folder has such a name."""
    try:
        return any(pattern.fullmatch(path.name) and path.name != ".metadata" for path in folder.iterdir())
    except OSError:
        return False


TESTS: dict[str, Callable[[Path], bool]] = {
    "distcp": _distcp,
    "deepspeed": _deepspeed,
    "saved_model": _saved_model,
    "tfjs": _tfjs,
    "orbax": _orbax,
}
"""Format of a folder -> how it is told."""
