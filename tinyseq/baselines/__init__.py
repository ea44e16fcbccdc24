"""What a model has to beat. Print one first, so that nobody is fooled by a weak model."""

from tinyseq.baselines.bayes import NaiveBayes as NaiveBayes
from tinyseq.baselines.counting import MostFrequentTag as MostFrequentTag
from tinyseq.baselines.counting import word_overlap as word_overlap
from tinyseq.baselines.embeddings import mean_of_embeddings as mean_of_embeddings
from tinyseq.baselines.ngram import NGram as NGram
