"""Kernels for CPUs, compiled by numba; what stays outside kernels is as the NumPy emitter has it."""
