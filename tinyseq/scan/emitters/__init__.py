"""From a schedule and its storage to source: a room for each array library or compiler."""
