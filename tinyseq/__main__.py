"""`python -m tinyseq` is the command `tinyseq`."""

import sys

from tinyseq.cli import main

sys.exit(main())
