"""Sequence models on a small reverse-mode engine, on NumPy or CuPy. See README.md."""

from tinyseq import nn as nn
from tinyseq import ops as ops
from tinyseq import optim as optim
from tinyseq.backend import use as use
from tinyseq.contracts import Cell as Cell
from tinyseq.contracts import Head as Head
from tinyseq.contracts import Layer as Layer
from tinyseq.contracts import Loss as Loss
from tinyseq.contracts import Metric as Metric
from tinyseq.engine import Tensor as Tensor
from tinyseq.engine import checkpoint as checkpoint
from tinyseq.engine import detect_anomaly as detect_anomaly
from tinyseq.engine import enable_grad as enable_grad
from tinyseq.engine import from_dlpack as from_dlpack
from tinyseq.engine import grad as grad
from tinyseq.engine import higher_order as higher_order
from tinyseq.engine import jvp as jvp
from tinyseq.engine import no_grad as no_grad
from tinyseq.engine import primitive as primitive
from tinyseq.engine import vjp as vjp
from tinyseq.random import seed as seed
from tinyseq.registry import build as build
from tinyseq.registry import cells as cells
from tinyseq.registry import config as config
from tinyseq.registry import describe as describe
from tinyseq.registry import emitters as emitters
from tinyseq.registry import heads as heads
from tinyseq.registry import initializers as initializers
from tinyseq.registry import layers as layers
from tinyseq.registry import losses as losses
from tinyseq.registry import metrics as metrics
from tinyseq.registry import models as models
from tinyseq.registry import optimizers as optimizers
from tinyseq.registry import recipes as recipes
from tinyseq.registry import register as register
from tinyseq.registry import save as save
from tinyseq.scan import Recurrent as Recurrent
from tinyseq.scan import clear_cache as clear_cache
from tinyseq.scan import detach as detach
from tinyseq.scan import explain as explain
from tinyseq.scan import scan as scan
from tinyseq.sequences import Sequences as Sequences
from tinyseq.tasks import Predictor as Predictor
from tinyseq.tasks import load as load

__version__ = "0.2.0"
