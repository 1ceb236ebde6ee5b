"""Bytes from elsewhere: polite requests, verified downloads, byte ranges, a bounded cache on every node.

Everything is named by a locator (zoo.fetch.locator), an URL that any worker on any node can turn into local bytes.
"""
