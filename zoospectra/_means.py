"""Which layers count, and means over them: the warehouse's own rule, applied to one model's table in memory."""

from __future__ import annotations

import pyarrow as pa

from zoospectra.warehouse.build import COUNTED, NO_EMBEDDING
from zoospectra.warehouse.connect import connect


def with_counted(layers: pa.Table) -> pa.Table:
    """The table of layers with the column `counted`: whether means use the layer."""
    with connect() as connection:
        connection.register("l", layers)
        table: pa.Table = connection.sql(f"SELECT {COUNTED} AS counted FROM l").to_arrow_table()
    return layers.append_column("counted", table["counted"].combine_chunks())


def means(layers: pa.Table, metrics: pa.Schema) -> dict[str, int | float | None]:
    """One row of model_metrics: numbers of layers, and the mean of every metric that is a real number.

    layers: as `with_counted` gives them; metrics: columns of layer_metrics.
    """
    names = ['"' + column.name.replace('"', '""') + '"' for column in metrics if pa.types.is_float64(column.type)]
    sql = f"""SELECT count(*) FILTER (WHERE counted) AS num_layers,
        count(*) FILTER (WHERE layer_type = 'embedding') AS num_embeddings,
        count(*) FILTER (WHERE {NO_EMBEDDING} AND NOT counted) AS num_failed,
        {", ".join(f"avg({name}) FILTER (WHERE counted) AS {name}" for name in names)}
    FROM l"""
    with connect() as connection:
        connection.register("l", layers)
        row: dict[str, int | float | None] = connection.sql(sql).to_arrow_table().to_pylist()[0]
    return row
