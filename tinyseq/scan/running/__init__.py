"""Calls, and the programs that serve them: on the tape, along segments, step by step."""
