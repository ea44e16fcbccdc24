"""The open training loop, its history and its checkpoints."""

from tinyseq.training.callbacks import SaveBest as SaveBest
from tinyseq.training.objectives import BatchLoss as BatchLoss
from tinyseq.training.objectives import Objective as Objective
from tinyseq.training.objectives import carried_state as carried_state
from tinyseq.training.objectives import count_targets as count_targets
from tinyseq.training.objectives import whole_sequences as whole_sequences
from tinyseq.training.outcome import Outcome as Outcome
from tinyseq.training.outcome import measure as measure
from tinyseq.training.outcome import predictions as predictions
from tinyseq.training.records import Epoch as Epoch
from tinyseq.training.records import Step as Step
from tinyseq.training.trainer import Trainer as Trainer
from tinyseq.training.writers import HistoryFile as HistoryFile
from tinyseq.training.writers import TensorBoard as TensorBoard
