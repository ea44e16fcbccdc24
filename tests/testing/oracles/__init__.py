"""What registered components compute, once more: in plain Python, and too slow to be wrong."""
