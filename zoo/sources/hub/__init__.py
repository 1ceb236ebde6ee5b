"""The hub's words understood: listings, which files are the weights, what was reported."""
