"""Floor 4: from files and texts to batches."""

from tinyseq.data.pairs import PairBatch as PairBatch
from tinyseq.data.pairs import PairBatches as PairBatches
from tinyseq.data.pairs import duplicate_groups as duplicate_groups
from tinyseq.data.text import MAX_BYTES as MAX_BYTES
from tinyseq.data.text import demo_text as demo_text
from tinyseq.data.text import read_text as read_text
from tinyseq.data.vocabulary import Vocabulary as Vocabulary
from tinyseq.data.windows import ContiguousWindows as ContiguousWindows
