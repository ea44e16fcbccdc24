"""Parameters, Modules, initial values, and the layers that work on each position by itself."""

from tinyseq.nn import init as init
from tinyseq.nn.combine import Concatenate as Concatenate
from tinyseq.nn.combine import Highway as Highway
from tinyseq.nn.features import TokenFeatures as TokenFeatures
from tinyseq.nn.features import WordDropout as WordDropout
from tinyseq.nn.layers import Dropout as Dropout
from tinyseq.nn.layers import Embedding as Embedding
from tinyseq.nn.layers import LayerNorm as LayerNorm
from tinyseq.nn.layers import Linear as Linear
from tinyseq.nn.layers import Residual as Residual
from tinyseq.nn.layers import Sequential as Sequential
from tinyseq.nn.layers import positionwise as positionwise
from tinyseq.nn.model import SequenceModel as SequenceModel
from tinyseq.nn.module import Module as Module
from tinyseq.nn.module import Parameter as Parameter
from tinyseq.nn.regularize import EmbeddingDropout as EmbeddingDropout
from tinyseq.nn.regularize import VariationalDropout as VariationalDropout
from tinyseq.nn.summary import summary as summary
from tinyseq.nn.windows import Convolution as Convolution
from tinyseq.nn.windows import MultiHeadAttention as MultiHeadAttention
