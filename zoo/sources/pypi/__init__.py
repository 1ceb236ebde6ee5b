"""Networks that Python packages ship, from a folder of wheels; with what their publishers say of them."""

from zoospectra.zoo.sources.pypi.wheels import crawl

__all__ = ["crawl"]
