"""From scores to symbols: drawing one after the other, and searching for the best of many."""

from tinyseq.decoding.prefixes import prefix_search as prefix_search
from tinyseq.decoding.sampling import choose as choose
from tinyseq.decoding.sampling import generate as generate
from tinyseq.decoding.search import Hypothesis as Hypothesis
from tinyseq.decoding.search import beam_search as beam_search
from tinyseq.decoding.search import write as write
