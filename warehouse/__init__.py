"""Arrow schemas, Parquet parts and DuckDB generations: everything that is kept."""
