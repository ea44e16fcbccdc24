"""The package's own tests run where it is installed, and not from here."""

collect_ignore = ["package"]
