"""The card of a published warehouse: README.md of a data set of the hub, with a configuration a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from zoospectra.jobs.show.markup import markdown
from zoospectra.warehouse.dictionary import DictionaryRow, descriptions

TAGS = ("neural-network-weights", "spectra", "power-law", "zoospectra")


def card(repository: str, counts: Mapping[str, int], columns: Collection[DictionaryRow], spectra: int) -> str:
    """Text of the card.

    counts: table -> rows, the first one is shown first; columns: the data dictionary; spectra: files with eigenvalues.
    """
    names = list(counts)
    first = names[0] if names else "models"
    configurations = "".join(
        f"- config_name: {name}\n  data_files: data/{name}.parquet\n" + ("  default: true\n" if name == first else "")
        for name in names
    )
    words = descriptions()
    tables = "\n".join(f"| {name} | {counts[name]} | {words.get(name, '')} |" for name in names)
    meanings = "\n\n".join(_meanings(name, columns) for name in names)
    eigenvalues = (
        f"\nThe raw eigenvalues of every layer are in {spectra} files below `parts/`, by content_hash:\n\n"
        f"```sql\nSELECT content_hash, slice_id, evals FROM 'hf://datasets/{repository}/parts/**/spectra-*.parquet';\n"
        "```\n"
        if spectra
        else ""
    )
    return f"""---
pretty_name: {repository.rpartition("/")[2]}
tags:
{"".join(f"- {tag}{chr(10)}" for tag in TAGS)}configs:
{configurations}---

# {repository}

Spectra, power-law fits and norms of the layers of neural networks, computed from their weights alone by zoospectra.

```python
from datasets import load_dataset

{first} = load_dataset("{repository}", "{first}", split="train")
```

```sql
SELECT * FROM 'hf://datasets/{repository}/data/{first}.parquet';
```
{eigenvalues}
| table | rows | |
|---|---|---|
{tables}

{meanings}
"""


def _meanings(name: str, columns: Collection[DictionaryRow]) -> str:
    """The columns of one table."""
    rows = "\n".join(
        f"| {' | '.join(map(markdown, (row.column, row.type, row.unit, row.comment)))} |"
        for row in columns
        if row.table == name and row.column != "path"
    )
    return f"## {name}\n\n| column | type | unit | |\n|---|---|---|---|\n{rows}"
