"""From the graph of a step to a schedule: the same values from less work, and when each is computed."""
