"""Calls with `out=`, in words that NumPy and CuPy share."""
