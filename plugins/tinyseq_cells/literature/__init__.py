"""Cells from the literature, each as its paper's formula."""
