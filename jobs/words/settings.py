"""Types of every job's configuration: Hydra composes values, these refuse what does not fit. They stop at `command`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class ZooSettings:
    """Which zoo."""

    source: str = "digits"
    name: str = "digits"
    path: str | None = None
    workers: int | None = None
    versions: list[str] = field(default_factory=list)
    readmes: list[dict[str, str]] = field(default_factory=list)
    results: list[dict[str, str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    author: str | None = None
    task: str | None = None
    tags: list[str] = field(default_factory=list)
    search: str | None = None
    sort: str = "downloads"
    limit: int | None = 100
    glob: str | None = None
    checksums: bool = True


@dataclass
class FetchSettings:
    """How remote zoos are read."""

    cache_gb: float = 50.0
    rate: float = 5.0
    connections: int = 4
    attempts: int = 6
    max_wait: float = 300.0
    day_gb: float | None = None
    timeout: float = 30.0


@dataclass
class ClusterSettings:
    """Where tasks run."""

    executor: str = "ray"
    address: str | None = None
    cpus: int | None = None
    device: str = "cpu"


@dataclass
class WarehouseSettings:
    """Where results are kept."""

    dir: str = "data"
    keep: int = 3


@dataclass
class FitSettings:
    """How tails are fitted."""

    engine: str = "own"


@dataclass
class ScanSettings:
    """Values of `scan`."""

    zoo: ZooSettings = field(default_factory=ZooSettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    fetch: FetchSettings = field(default_factory=FetchSettings)
    profiles: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    limit: int | None = None
    fit: FitSettings = field(default_factory=FitSettings)
    shard_seconds: float = 1.0
    attempts: int = 2


@dataclass
class CatalogSettings:
    """Values of `catalog`."""

    zoo: ZooSettings = field(default_factory=ZooSettings)
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    fetch: FetchSettings = field(default_factory=FetchSettings)
    models: list[str] = field(default_factory=list)
    limit: int | None = None


@dataclass
class DescribeSettings:
    """Values of `describe`."""

    profiles: list[str] = field(default_factory=list)


@dataclass
class SqlSettings:
    """Values of `sql`."""

    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    format: str = "table"


@dataclass
class RefitSettings:
    """Values of `refit`."""

    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    profiles: list[str] = field(default_factory=list)
    fit: FitSettings = field(default_factory=FitSettings)
    attempts: int = 2


@dataclass
class StudySettings:
    """Values of `study`, besides the options of its kind."""

    zoo: ZooSettings = field(default_factory=lambda: ZooSettings(source="", name=""))
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)


@dataclass
class CompareSettings:
    """Values of `compare`."""

    profiles: list[str] = field(default_factory=list)
    format: str = "table"
