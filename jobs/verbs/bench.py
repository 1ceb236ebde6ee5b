"""`zoospectra bench`: measures this machine. Kernels by size, fits by K, whole layers, paired with the peers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from zoospectra.jobs.benches.fits import fits
from zoospectra.jobs.benches.kernels import kernels
from zoospectra.jobs.benches.layers import layers
from zoospectra.jobs.benches.pair import Row
from zoospectra.jobs.benches.table import HEAD, cells, markdown
from zoospectra.jobs.show.display import print_table
from zoospectra.jobs.words.command import answered, compose, misuse
from zoospectra.jobs.words.profiles import load_profiles

HELP = """usage: zoospectra bench [suites=kernels,fits,layers] [sizes=[768,4096]] [threads=[1,2]] [tails=[144,4096]]
                        [workloads=gpt2,one4096,four4096,cnn50] [executors=ray,inline] [rounds=5] [markdown=FILE]

Times every way of doing the same work in turns (A B A B), with medians and the spread of the ratios, and compares the
numbers. WeightWatcher and powerlaw take part where they are installed. Give it a quiet machine and some minutes."""


@dataclass
class BenchSettings:
    """Values of `bench`."""

    suites: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    tails: list[int] = field(default_factory=list)
    workloads: list[str] = field(default_factory=list)
    executors: list[str] = field(default_factory=list)
    profile: str = "weightwatcher"
    shrink: int = 1
    rounds: int = 5
    budget: float = 120.0
    markdown: str | None = None


def bench(settings: BenchSettings, words: Sequence[str] = ()) -> Iterator[list[Row]]:
    """Rows, case by case; ValueError for unknown suites, workloads, executors or sizes below 2."""
    if unknown := sorted(set(settings.suites) - {"kernels", "fits", "layers"}):
        msg = f"unknown suites {unknown}: expected some of kernels, fits, layers"
        raise ValueError(msg)
    least = min([2, *settings.sizes, *settings.threads, *settings.tails, settings.shrink, settings.rounds])
    if min([8, *settings.sizes, *settings.tails]) < 8 or least < 1 or settings.budget <= 0:
        msg = "expected sizes and tails of at least 8, threads, shrink and rounds of at least 1, and a positive budget"
        raise ValueError(msg)
    if "kernels" in settings.suites:
        yield from kernels(settings.sizes, settings.threads, settings.rounds, settings.budget)
    if "fits" in settings.suites:
        yield from fits(settings.tails, settings.rounds, settings.budget)
    if "layers" in settings.suites:
        yield from layers(
            settings.workloads,
            settings.executors,
            load_profiles([settings.profile], words)[0],
            shrink=settings.shrink,
            rounds=settings.rounds,
            budget=settings.budget,
        )


def command(words: Sequence[str]) -> int:
    """Entry of the verb."""
    if answered("bench", words, HELP, BenchSettings):
        return 0
    settings = compose("bench", words, BenchSettings)
    load = os.getloadavg()[0]
    rows: list[Row] = []
    with misuse():
        for found in bench(settings, words):
            rows += found
            print(f"bench: {found[0].suite}, {found[0].case}", file=sys.stderr, flush=True)
    print_table(pa.Table.from_pylist([dict(zip(HEAD, cells(row), strict=True)) for row in rows]))
    if settings.markdown:
        Path(settings.markdown).write_text(markdown(rows, load))
        print(f"written to {settings.markdown}")
    return 0
