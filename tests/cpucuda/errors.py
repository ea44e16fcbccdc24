"""What can go wrong before a kernel runs."""


class InstallError(RuntimeError):
    """The CPU device cannot be put under CuPy here; the message says what is missing."""


class CompilationError(RuntimeError):
    """g++ refused a source; the message holds the command and what it printed."""
