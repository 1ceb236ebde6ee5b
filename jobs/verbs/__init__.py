"""Verbs of the command, one a file, each ending in its VERB record."""
