"""Kernels for GPUs, compiled by CuPy: a block owns a row and walks through time with it."""
