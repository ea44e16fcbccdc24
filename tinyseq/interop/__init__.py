"""Models for other programs, and from them."""

from tinyseq.interop.standalone import to_python as to_python
