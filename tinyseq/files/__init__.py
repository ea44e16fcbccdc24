"""How files are written, whole or not at all, and read without trusting a byte of them."""

from tinyseq.files.atomic import atomic_write as atomic_write
