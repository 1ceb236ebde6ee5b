"""From what a catalogue says about a release file to a locator: URL, checksum, whether it is an archive. Pure."""

from __future__ import annotations

from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.fetch.locator import Locator, refused, text_of
from zoospectra.zoo.fetch.settings import HUB

ALGORITHMS = {"sha1": "sha1", "sha1-prefix": "sha1", "sha256": "sha256", "sha256-prefix": "sha256"}
"""Kind of a catalogue's checksum -> field of a locator; crc32 and the like verify nothing worth having."""


def release(url: str | None, checksum: str | None, hub: str = HUB) -> str:
    """Locator of a release file; `checksum` is 'sha256-prefix:1f0a...' and the like, `hub` replaces the public hub.

    A zip archive means the one file inside it, and the checksum is that file's (as pytorchcv's are). Without a URL the
    locator is one that gives the reason.
    """
    if not url:
        return refused(Reason.NOT_FOUND, "the catalogue names no weights for this model")
    if url.startswith(f"{HUB}/"):
        url = hub + url.removeprefix(HUB)
    kind, _, digest = (checksum or "").partition(":")
    algorithm = ALGORITHMS.get(kind) if digest else None
    sha256, sha1 = (digest.lower() if algorithm == one else None for one in ("sha256", "sha1"))
    return text_of(Locator(url, sha256=sha256, sha1=sha1, unzip=url.endswith(".zip")))
