"""Zoos of Python packages, read from versioned snapshots of their catalogs; the packages are never imported."""
