"""The tables of docs/scale.md say what the plan predicts today."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from tests.scale.shapes import read_shapes
from tests.scale.transformers import DECODERS, costs
from zoospectra.analysis.cost import cost, with_one_thread

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
LAYER_BYTES, VALUE_BYTES = 2500, 7.2
"""A layer's rows, sketch and share of both databases, and an eigenvalue: measured, see RESULTS.md."""
GUESSED = {"1B": 1500, "8B": 1200, "32B": 200, "70B": 100}
"""Of 10,000 hub models, those that are no encoders of 0.2 GB, 0.01 core hours, 75 layers and 55,000 eigenvalues."""


def stored(layers: int, values: int) -> float:
    """Gigabytes that so many layers with so many eigenvalues take in a warehouse."""
    return (layers * LAYER_BYTES + values * VALUE_BYTES) / 1e9


def catalog_rows() -> list[str]:
    """One line a package: models, layers, gigabytes in float32, core hours, the longest matrix."""
    rows = []
    packages = defaultdict(list)
    for shape in read_shapes():
        packages[shape.package].append((shape, cost(shape.N, shape.M, shape.rf, 4)))
    for package, planned in packages.items():
        priced = [(shape, with_one_thread(one)) for shape, one in planned]
        models = len({shape.model for shape, _ in priced})
        layers = sum(shape.layers for shape, _ in priced)
        size = sum(shape.layers * one.bytes_read for shape, one in priced) / 1e9
        hours = sum(shape.layers * one.seconds * one.threads for shape, one in priced) / 3600
        longest = max(one.seconds for _, one in priced)
        kept = stored(layers, sum(shape.layers * shape.M * shape.rf for shape, _ in priced))
        rows.append(f"| {package} | {models:,} | {layers:,} | {size:,.0f} | {hours:.2f} | {longest:.0f} | {kept:.2f} |")
    return rows


class Priced(NamedTuple):
    """What a language model costs."""

    matrices: int
    """How many."""
    size: float
    """Gigabytes in bfloat16."""
    hours: float
    """Core hours."""
    peak: float
    """GiB of its largest matrix."""
    kept: float
    """Gigabytes in the warehouse."""


def price(name: str) -> Priced:
    """Cost of one of the published configurations."""
    priced = costs(DECODERS[name])
    matrices = sum(many for _, many in priced)
    return Priced(
        matrices,
        sum(one.bytes_read * many for one, many in priced) / 1e9,
        sum(one.seconds * one.threads * many for one, many in priced) / 3600,
        max(one.peak_bytes for one, _ in priced) / 2**30,
        stored(matrices, sum(min(rows, columns) * many for rows, columns, many in DECODERS[name].layers())),
    )


def decoder_rows() -> list[str]:
    """One line a model: matrices, gigabytes in bfloat16, core hours, the largest peak, megabytes kept."""
    rows = []
    for name in DECODERS:
        one = price(name)
        numbers = f"{one.matrices} | {one.size:,.1f} | {one.hours:,.2f} | {one.peak:.1f} | {1000 * one.kept:.0f}"
        rows.append(f"| {name} | {numbers} |")
    return rows


def hub_words() -> list[str]:
    """What the sum of the 10,000 hub models says."""
    many = 10_000 - sum(GUESSED.values())
    models = {name: price(name) for name in GUESSED}
    size = many * 0.2 + sum(GUESSED[name] * one.size for name, one in models.items())
    hours = many * 0.01 + sum(GUESSED[name] * one.hours for name, one in models.items())
    kept = many * stored(75, 55_000) + sum(GUESSED[name] * one.kept for name, one in models.items())
    days = size * 8 / 86_400  # 1 Gbit/s
    return [
        f"{size / 1000:.0f} TB by byte range and {hours:,.0f} core hours",
        f"{hours / 256:.1f} hours on 256 cores, {days:.1f} days of a 1 Gbit/s line and {kept:.0f} GB of warehouse",
    ]


def sum_words() -> list[str]:
    """What the sum of the three packages says."""
    shapes = read_shapes()
    models, layers = len({(shape.package, shape.model) for shape in shapes}), sum(shape.layers for shape in shapes)
    priced = [(shape, with_one_thread(cost(shape.N, shape.M, shape.rf, 4))) for shape in shapes]
    size = sum(shape.layers * one.bytes_read for shape, one in priced) / 1e12
    hours = sum(shape.layers * one.seconds for shape, one in priced) / 3600
    kept = stored(layers, sum(shape.layers * shape.M * shape.rf for shape in shapes))
    return [
        f"All three: {models:,} models, {layers:,} layers, {size:.1f} TB, {hours:.1f} core hours",
        f"{kept:.1f} GB of warehouse",
        f"at 1 Gbit/s {8000 * size / 3600:.1f} hours",
    ]


def test_the_page_says_what_the_plan_says() -> None:
    text = " ".join(PAGE.read_text().split())
    said = [*catalog_rows(), *decoder_rows(), *hub_words(), *sum_words()]
    missing = [words for words in said if words not in text]
    assert not missing, "docs/scale.md lacks\n" + "\n".join(missing)
