"""Tasks: from files of labelled data to what a model reads, and from its answers back to words."""

from tinyseq.tasks.base import Task as Task
from tinyseq.tasks.classification import Classification as Classification
from tinyseq.tasks.evaluation import Evaluation as Evaluation
from tinyseq.tasks.pairs import Pairs as Pairs
from tinyseq.tasks.predictor import TASKS as TASKS
from tinyseq.tasks.predictor import Predictor as Predictor
from tinyseq.tasks.predictor import load as load
from tinyseq.tasks.tagging import Tagging as Tagging
from tinyseq.tasks.writing import SequenceToSequence as SequenceToSequence
