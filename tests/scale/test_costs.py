"""The tables of docs/scale.md say what the plan predicts today."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tests.scale.shapes import read_shapes
from tests.scale.transformers import DECODERS, costs
from zoospectra.analysis.cost import cost, with_one_thread

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


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
        rows.append(f"| {package} | {models:,} | {layers:,} | {size:,.0f} | {hours:.2f} | {longest:.0f} |")
    return rows


def decoder_rows() -> list[str]:
    """One line a model: matrices, gigabytes in bfloat16, core hours, the largest peak."""
    rows = []
    for name, decoder in DECODERS.items():
        priced = costs(decoder)
        matrices = sum(many for _, many in priced)
        size = sum(one.bytes_read * many for one, many in priced) / 1e9
        hours = sum(one.seconds * one.threads * many for one, many in priced) / 3600
        peak = max(one.peak_bytes for one, _ in priced) / 2**30
        rows.append(f"| {name} | {matrices} | {size:,.1f} | {hours:,.2f} | {peak:.1f} |")
    return rows


def test_the_tables_are_the_plans() -> None:
    text = PAGE.read_text()
    missing = [row for row in [*catalog_rows(), *decoder_rows()] if row not in text]
    assert not missing, "docs/scale.md lacks\n" + "\n".join(missing)
