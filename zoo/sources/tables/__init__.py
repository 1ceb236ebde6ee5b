"""Metrics that others computed from weights, read from their tables into our names and marked with their origin."""
