"""Checkpoints: references to tensors, their readers, their bytes; nothing from a file is ever executed."""
