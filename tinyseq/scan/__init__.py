"""A cell's `step` along whole sequences."""

from tinyseq.scan.running.compiled import clear_cache as clear_cache
from tinyseq.scan.running.explain import explain as explain
from tinyseq.scan.running.recurrent import Recurrent as Recurrent
from tinyseq.scan.running.run import scan as scan
from tinyseq.scan.state import detach as detach
