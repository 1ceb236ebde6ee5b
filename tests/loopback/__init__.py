"""A real HTTP server on 127.0.0.1 that speaks the hub's protocol and serves release files, with faults on demand."""

from tests.loopback.content import Content, Repo, Zeros
from tests.loopback.faults import Fault, Script
from tests.loopback.server import Loopback

__all__ = ["Content", "Fault", "Loopback", "Repo", "Script", "Zeros"]
