"""The embedded zoo: small networks trained offline on scikit-learn's digits, the first time they are asked for."""

from zoospectra.zoo.sources.digits.catalog import crawl

__all__ = ["crawl"]
