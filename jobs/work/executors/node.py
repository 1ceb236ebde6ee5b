"""What one machine is: its code, what it sees of the files of a run, the memory it may use. Runs on every node."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from zoospectra.analysis.profile import FIT_VERSION, SPECTRUM_VERSION
from zoospectra.jobs.work.executors.task import Capacity, Wanted
from zoospectra.jobs.work.keep import READER_VERSION

PACKAGES = ("zoospectra", "numpy", "scipy", "torch")
"""Packages whose version decides last bits."""

MEMORY_SHARE = 0.7
"""Share of a machine's memory that the matrices of one task may be predicted to need."""

SAMPLES = 3
"""Files that every node is asked for."""

CGROUPS = Path("/sys/fs/cgroup")
"""Where Linux shows the limits of a container, of either version."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine as it describes itself."""

    name: str
    """Host name."""
    memory: int
    """Bytes that it may use: its own, or the limit of its cgroup where that is less."""
    free: int
    """Bytes of these that are free."""
    cpus: int
    """CPUs that its processes may run on."""
    kills: int
    """Processes that the kernel has killed here for memory."""
    trouble: str | None = None
    """Why it must get no work; None when it may."""
    lacks: frozenset[str] = frozenset()
    """Files and folders of the run that it does not see."""


def versions() -> tuple[tuple[str, str], ...]:
    """Versions of everything that decides a result's bits."""
    own = (("reader", READER_VERSION), ("spectra", SPECTRUM_VERSION), ("fits", FIT_VERSION))
    return (*own, *((name, _version(name)) for name in PACKAGES))


def wanted(paths: Sequence[str]) -> Wanted:
    """What every node of a run must have: this machine's code, and files that the run reads, or some of them."""
    some = [paths[len(paths) * k // SAMPLES] for k in range(SAMPLES)] if paths else []
    sizes = {path: os.stat(path).st_size for path in some if os.path.isfile(path)}
    return Wanted(versions(), tuple(sizes.items()), tuple(paths))


def describe(wanted: Wanted) -> Node:
    """The machine that runs the call."""
    limit, lacks = memory_limit(), lacking(wanted.paths)
    return Node(
        name=socket.gethostname(),
        memory=limit,
        free=min(limit, _meminfo("MemAvailable")),
        cpus=len(os.sched_getaffinity(0)),
        kills=memory_kills(),
        trouble=trouble(wanted, some=len(lacks) < len(wanted.paths)),
        lacks=lacks,
    )


def capacity(nodes: Iterable[Node]) -> Capacity:
    """What the largest of some machines offers one task."""
    largest = max(nodes, key=lambda node: node.memory)
    words = f"{MEMORY_SHARE:.0%} of the {largest.memory / 2**30:.1f} GiB of {largest.name}, the largest node"
    return Capacity(int(MEMORY_SHARE * largest.memory), words)


def trouble(wanted: Wanted, *, some: bool = False) -> str | None:
    """What this machine lacks of what is wanted, in words; None when nothing. some: files may be missing."""
    return other_code(wanted) or _unseen(wanted, some)


def lacking(paths: Iterable[str]) -> frozenset[str]:
    """Those of these files and folders that this machine does not see; each folder is listed once, no file opened."""
    listed: dict[str, frozenset[str]] = {}
    lacks = set()
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in listed:
            listed[folder] = _names(folder)
        if name and name not in listed[folder]:
            lacks.add(path)
    return frozenset(lacks)


def _names(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder or "."))
    except OSError:
        return frozenset()


@cache
def other_code(wanted: Wanted) -> str | None:
    """How this machine's code differs from what is wanted, in words; None when it does not."""
    have = dict(versions())
    differ = [f"{name} {have.get(name)} instead of {this}" for name, this in wanted.versions if have.get(name) != this]
    if differ:
        return f"it runs other code, {', '.join(differ)}: install the same there"
    return None


def _unseen(wanted: Wanted, some: bool) -> str | None:
    for path, size in wanted.files:
        try:
            bytes_seen = os.stat(path).st_size
        except OSError as error:
            if some:
                continue
            return f"it does not see {path} ({error.strerror}): mount the same files there"
        if bytes_seen != size:
            return f"{path} has {bytes_seen} bytes there and {size} here: mount the same files there"
    return None


def memory_limit() -> int:
    """Bytes that this process may use: the machine's, or the smallest limit of the cgroups that it is in."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = (_number(path) for name in ("memory.max", "memory.limit_in_bytes") for path in _cgroup_files(name))
    return min([physical, *(limit for limit in limits if limit)])


def memory_kills() -> int:
    """Processes that the kernel has killed for memory in the cgroups of this process, or on the whole machine."""
    for name in ("memory.events", "memory.oom_control"):
        for path in _cgroup_files(name):
            for line in _text(path).splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    lines = (line.split() for line in _text(Path("/proc/vmstat")).splitlines())
    return next((int(words[1]) for words in lines if words[0] == "oom_kill"), 0)


def _cgroup_files(name: str) -> Iterator[Path]:
    """Files of this name of the cgroups that this process is in, its own first, then those above."""
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root = CGROUPS / "memory" if controllers else CGROUPS
        inside = root / path.lstrip("/")
        for folder in (inside, *inside.parents):
            if folder.is_relative_to(root) and (folder / name).is_file():
                yield folder / name


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _meminfo(name: str) -> int:
    """Bytes of a line of /proc/meminfo."""
    lines = (line.split() for line in _text(Path("/proc/meminfo")).splitlines())
    return next((1024 * int(words[1]) for words in lines if words[0] == f"{name}:"), 0)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
