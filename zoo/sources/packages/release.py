"""From what a catalog says about release files to models that can be fetched: URL, checksum, archive or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.fetch.locator import Locator, refused, text_of
from zoospectra.zoo.fetch.settings import HUB, hub_url
from zoospectra.zoo.model import Model

ALGORITHMS = {"sha1": "sha1", "sha1-prefix": "sha1", "sha256": "sha256", "sha256-prefix": "sha256"}
"""Kind of a catalog's checksum -> field of a locator; crc32 and the like verify nothing worth having."""


def released(models: Iterable[Model], zoo: str) -> tuple[Model, ...]:
    """Rows of a package's catalog as models of a zoo of that name, each with the locator of its weights as path."""
    hub = hub_url()
    return tuple(
        replace(
            model,
            model_id=zoo + model.model_id.removeprefix(model.zoo),
            zoo=zoo,
            path=release(model.weights_url, str(model.extra.get("checksum", "")), hub),
        )
        for model in models
    )


def release(url: str | None, checksum: str = "", hub: str = HUB) -> str:
    """Locator of a release file; `checksum` is 'sha256-prefix:1f0a...' and the like, `hub` replaces the public hub.

    A zip archive means the one file inside it, and the checksum is that file's (as pytorchcv's are). Without a URL the
    locator is one that gives the reason.
    """
    if not url:
        return refused(Reason.NOT_FOUND, "the catalog names no weights for this model")
    if url.startswith(f"{HUB}/"):
        url = hub + url.removeprefix(HUB)
    kind, _, digest = checksum.partition(":")
    algorithm = ALGORITHMS.get(kind) if digest else None
    sha256, sha1 = (digest.lower() if algorithm == name else None for name in ("sha256", "sha1"))
    return text_of(Locator(url, sha256=sha256, sha1=sha1, unzip=url.endswith(".zip")))


def check_files(name: str, files: Sequence[Mapping[str, str]], keys: Sequence[str]) -> None:
    """ValueError unless every file of an option is {path: ..., and of the other keys any}."""
    for file in files:
        if "path" not in file or not file.keys() <= set(keys):
            msg = f"{name}={files}: expected files as {{path: FILE}}, each with any of {', '.join(keys[1:])}"
            raise ValueError(msg)
