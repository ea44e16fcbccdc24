"""The command `tinyseq`."""

from tinyseq.cli.entry import main as main
