"""Which models exist, what was reported about them, and their tensors. Nothing read from a zoo is ever executed."""
