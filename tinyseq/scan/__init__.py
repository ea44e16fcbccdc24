"""Floor 4: a cell's `step` along whole sequences."""

from tinyseq.scan.compiled import clear_cache as clear_cache
from tinyseq.scan.explain import explain as explain
from tinyseq.scan.recurrent import Recurrent as Recurrent
from tinyseq.scan.run import scan as scan
from tinyseq.scan.state import detach as detach
