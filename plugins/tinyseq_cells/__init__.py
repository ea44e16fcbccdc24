"""First-party plugins; see tinyseq."""
