"""Layers: which tensors are weights, which matrices they hold, and their values."""
