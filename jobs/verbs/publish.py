"""`zoospectra publish OWNER/NAME`: the newest warehouse as a data set on the hub, one commit of what changed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.words.verb import Positional, Verb
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    from zoospectra.jobs.words.command import Configuration
    from zoospectra.zoo.upload import Changes

HELP = """usage: zoospectra publish OWNER/NAME [spectra=true] [private=false] [dry=true] [warehouse.dir=DIR]

Sends the tables of the newest warehouse as Parquet files with a card to a data set of the hub (HF_ENDPOINT, HF_TOKEN),
where `datasets` and DuckDB's hf:// read them. Only files with other bytes are sent. Paths, configurations and machines
of this computer stay here. spectra: the eigenvalues too; private: whether a new data set is; dry: only say what would
be sent."""

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class PublishSettings:
    """Values of `publish`."""

    repository: str
    """owner/name of the data set."""
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    spectra: bool = False
    """Whether the eigenvalues are sent too."""
    private: bool = True
    """Whether a data set that is made is private; one that is there stays as it is."""
    dry: bool = False
    """Whether to say only what would be sent."""

    def __post_init__(self) -> None:
        """Refuse a name that is none."""
        if not NAME.fullmatch(self.repository):
            msg = f"{self.repository!r}: expected OWNER/NAME of a data set on the hub"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Published:
    """What was sent, or would be."""

    settings: PublishSettings
    """As composed."""
    changes: Changes
    """Files."""
    address: str | None
    """Of the commit; None when nothing changed or nothing was to be sent."""


def check(settings: PublishSettings, _configuration: Configuration) -> PublishSettings:
    """ValueError when there is no warehouse, or no token to send it with."""
    from zoospectra.warehouse.connect import newest
    from zoospectra.zoo.fetch.settings import hub_token

    newest(Path(settings.warehouse.dir))
    if not settings.dry and hub_token() is None:
        msg = "HF_TOKEN is not set: expected a token that may write; dry=true says what would be sent"
        raise ValueError(msg)
    return settings


def publish(settings: PublishSettings) -> Published:
    """Export, compare, commit."""
    import tempfile

    from zoospectra.jobs.exit import JobError
    from zoospectra.jobs.records.card import card
    from zoospectra.warehouse.dictionary import dictionary
    from zoospectra.warehouse.export import export, spectra_parts
    from zoospectra.zoo.upload import UploadError, changes, push, remote_files

    directory = Path(settings.warehouse.dir)
    with tempfile.TemporaryDirectory() as folder:
        counts = export(directory, Path(folder, "data"))
        files = {f"data/{name}.parquet": Path(folder, "data", f"{name}.parquet") for name in counts}
        spectra = spectra_parts(directory) if settings.spectra else {}
        text = card(settings.repository, counts, dictionary(directory), len(spectra))
        Path(folder, "README.md").write_text(text)
        files |= {"README.md": Path(folder, "README.md"), **spectra}
        owned = ("data/", "parts/") if settings.spectra else ("data/",)
        try:
            change = changes(files, remote_files(settings.repository), owned)
            message = f"{len(change.added)} files by zoospectra publish"
            sent = None if settings.dry else push(settings.repository, files, change, message, settings.private)
        except UploadError as error:
            raise JobError(str(error)) from error
    return Published(settings, change, sent)


def show(result: Published) -> None:
    """Files and bytes, and where they are."""
    from zoospectra.jobs.show.units import size

    change, dry = result.changes, result.settings.dry
    for name in change.added:
        print(f"{'would send' if dry else 'sent'} {name}")
    for name in change.removed:
        print(f"{'would remove' if dry else 'removed'} {name}")
    words = (
        f"{len(change.added)} files, {size(change.bytes)} {'to send' if dry else 'sent'}; {change.unchanged} unchanged"
    )
    print(words + (f": {result.address}" if result.address else ""))


VERB = Verb(HELP, PublishSettings, check, publish, show, positional=(Positional("repository", "OWNER/NAME"),))
