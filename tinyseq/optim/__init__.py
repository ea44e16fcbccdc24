"""Optimisers, schedules of their learning rates, and bounds on gradients."""

from tinyseq.optim.average import Average as Average
from tinyseq.optim.average import ExponentialAverage as ExponentialAverage
from tinyseq.optim.average import TriggeredAverage as TriggeredAverage
from tinyseq.optim.clip import clip_grad_norm as clip_grad_norm
from tinyseq.optim.clip import clip_grad_value as clip_grad_value
from tinyseq.optim.clip import grad_norms as grad_norms
from tinyseq.optim.optimizer import Optimizer as Optimizer
from tinyseq.optim.rules import SGD as SGD
from tinyseq.optim.rules import Adagrad as Adagrad
from tinyseq.optim.rules import Adam as Adam
from tinyseq.optim.rules import AdamW as AdamW
from tinyseq.optim.rules import RMSprop as RMSprop
from tinyseq.optim.schedules import Constant as Constant
from tinyseq.optim.schedules import Cosine as Cosine
from tinyseq.optim.schedules import Exponential as Exponential
from tinyseq.optim.schedules import ReduceOnPlateau as ReduceOnPlateau
from tinyseq.optim.schedules import Schedule as Schedule
from tinyseq.optim.schedules import StepDecay as StepDecay
from tinyseq.optim.schedules import Warmup as Warmup
