"""Statistics across models, one a file: pure, records out, None with a reason where a number does not exist.

The straight line itself, with Kendall's tau-b and Spearman's correlation, is analysis.regression.
"""
