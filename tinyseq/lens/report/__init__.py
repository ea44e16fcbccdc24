"""A run as one page that needs nothing else."""

from tinyseq.lens.report.page import page as page
