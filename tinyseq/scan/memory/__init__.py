"""Where values live: places and stores, who shares them, and the memory of a run."""
