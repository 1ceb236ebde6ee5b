"""The fetch room's server and settings."""

from tests.zoo.fetch.conftest import fetching, server

__all__ = ["fetching", "server"]
