"""Metrics, carried as sums and counts."""

from tinyseq.evaluation.bleu import BLEU as BLEU
from tinyseq.evaluation.classes import BinaryNats as BinaryNats
from tinyseq.evaluation.classes import MacroF1 as MacroF1
from tinyseq.evaluation.edits import ErrorRate as ErrorRate
from tinyseq.evaluation.edits import ExactMatch as ExactMatch
from tinyseq.evaluation.edits import edit_distance as edit_distance
from tinyseq.evaluation.ranking import AUC as AUC
from tinyseq.evaluation.ranking import RecallAtK as RecallAtK
from tinyseq.evaluation.ranking import best_threshold as best_threshold
from tinyseq.evaluation.schemes import convert_tags as convert_tags
from tinyseq.evaluation.schemes import find_scheme as find_scheme
from tinyseq.evaluation.spans import SpanF1 as SpanF1
from tinyseq.evaluation.tokens import Accuracy as Accuracy
from tinyseq.evaluation.tokens import Perplexity as Perplexity
