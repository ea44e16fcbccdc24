"""Estimators for scikit-learn (the extra `sklearn`): sequences in, classes, numbers, tags or vectors out."""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError:
    raise ImportError("tinyseq.sklearn needs scikit-learn: pip install 'tinyseq[sklearn]'.") from None

from tinyseq.sklearn.classifier import SequenceClassifier as SequenceClassifier
from tinyseq.sklearn.embedder import SequenceEmbedder as SequenceEmbedder
from tinyseq.sklearn.regressor import SequenceRegressor as SequenceRegressor
from tinyseq.sklearn.tagger import SequenceTagger as SequenceTagger
