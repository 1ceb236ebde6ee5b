"""Laws that compete with the power law on the tail of an ESD, and the test that compares them.

One file a law, each with `fit(x, xmin) -> TailFit | None` and `loglikelihoods(x, tail) -> array`; `vuong` has the
test, `compare` runs all of them on one tail. Not covered: discrete data, an upper cut-off, censored values.
"""
