"""A step run once over symbols: its graph, that of its gradient, and what both depend on."""
