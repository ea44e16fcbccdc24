"""The heads and losses of tinyseq as one would write them in PyTorch; see torch_layers."""

from typing import Any

import torch
from tinyseq_heads.classifier import Classifier
from tinyseq_heads.ctc import CTCHead
from tinyseq_heads.decoder import Decoder
from tinyseq_heads.generator import Generator
from tinyseq_heads.language_model import LanguageModelHead
from tinyseq_heads.multi_label import MultiLabel
from tinyseq_heads.regressor import Regressor
from tinyseq_heads.siamese import Siamese
from tinyseq_heads.tagger import Tagger
from tinyseq_losses.binary_cross_entropy import BinaryCrossEntropy
from tinyseq_losses.crf import CRF
from tinyseq_losses.cross_entropy import CrossEntropy
from tinyseq_losses.miners import MINERS
from tinyseq_losses.similarity import SIMILARITIES
from tinyseq_losses.triplet import COSTS, MeanClosestTripletLoss, TripletLoss
from tinyseq_recipes.slot_filling import SlotsAndIntent
from torch.nn import functional
from torch.nn.functional import cross_entropy

from tests.benchmarks.torch_layers import Positionwise, Ragged, Twins, converts
from tinyseq.registry.configuration import arguments

POOLINGS = {"last": Ragged.last, "mean": Ragged.mean, "max": Ragged.max}


def pooling_of(ours: Any) -> Any:
    """Torch's pooling of the name that a head was given."""
    return POOLINGS[arguments(ours)["pooling"]]


def require(condition: bool, what: str) -> None:
    """Raise TypeError for an option that the twin does not have."""
    if not condition:
        raise TypeError(f"There is no twin of {what} yet.")


def plain(loss: Any) -> None:
    """Refuse all but the cross-entropy and binary cross-entropy without options."""
    options = {name: value for name, value in vars(loss).items() if name != "_init_arguments"}
    require(
        type(loss) in (CrossEntropy, BinaryCrossEntropy)
        and options == {k: v for k, v in vars(type(loss)()).items() if k != "_init_arguments"},
        f"{type(loss).__name__} with options",
    )


def surprise(scores: Any, targets: Any) -> torch.Tensor:
    """The mean cross-entropy, without the padding."""
    if isinstance(targets, Ragged):
        return cross_entropy(scores.data.flatten(0, 1), targets.ids().flatten())
    return cross_entropy(scores, targets)


@converts(LanguageModelHead)
class TorchLanguageModel(torch.nn.Module):
    def __init__(self, ours: LanguageModelHead, twins: Twins) -> None:
        super().__init__()
        plain(ours.criterion)
        self.projection = twins(ours.projection or ours.tied)
        if ours.tied is not None:
            self.bias = torch.nn.Parameter(torch.zeros(ours.vocabulary_size))
            twins.link(ours.bias, self.bias)
            table = self.projection.function
            self.projection = Positionwise(lambda x: functional.linear(x, table.weight, self.bias))

    def loss(self, features: Any, targets: Any) -> torch.Tensor:
        return surprise(self.projection(features), targets)


@converts(Classifier)
class TorchClassifier(torch.nn.Module):
    def __init__(self, ours: Classifier, twins: Twins) -> None:
        super().__init__()
        plain(ours.criterion)
        self.pooling = pooling_of(ours)
        self.projection = twins(ours.projection)

    def loss(self, features: Ragged, targets: torch.Tensor) -> torch.Tensor:
        return cross_entropy(self.projection(self.pooling(features)), targets)


@converts(Tagger)
class TorchTagger(torch.nn.Module):
    def __init__(self, ours: Tagger, twins: Twins) -> None:
        super().__init__()
        self.projection = twins(ours.projection)
        self.criterion: Any = surprise
        if isinstance(ours.criterion, CRF):
            self.criterion = TorchCRF(ours.criterion, twins)
        else:
            plain(ours.criterion)

    def loss(self, features: Ragged, targets: Ragged) -> torch.Tensor:
        return self.criterion(self.projection(features), targets)


class TorchCRF(torch.nn.Module):
    """The negative log-likelihood of a linear chain, by the forward algorithm over the padded batch."""

    def __init__(self, ours: CRF, twins: Twins) -> None:
        super().__init__()
        require(ours.reduction == "mean", "CRF with another reduction")
        for name in ("transitions", "start", "end"):
            setattr(self, name, torch.nn.Parameter(torch.zeros(getattr(ours, name).shape)))
            twins.link(getattr(ours, name), getattr(self, name))

    def forward(self, emissions: Ragged, tags: Ragged) -> torch.Tensor:
        x, y, mask = emissions.data, tags.data, tags.mask
        steps = x.gather(2, y[..., None])[..., 0]
        steps = torch.cat([steps[:, :1], steps[:, 1:] + self.transitions[y[:, :-1], y[:, 1:]]], 1)
        score = self.start[y[:, 0]] + (steps * mask).sum(1) + self.end[tags.last()]
        alpha = self.start + x[:, 0]
        for t in range(1, x.shape[1]):
            onward = torch.logsumexp(alpha[:, :, None] + self.transitions, 1) + x[:, t]
            alpha = torch.where(mask[:, t, None], onward, alpha)
        return (torch.logsumexp(alpha + self.end, 1) - score).sum() / tags.lengths.sum()


@converts(SlotsAndIntent)
class TorchSlotsAndIntent(torch.nn.Module):
    def __init__(self, ours: SlotsAndIntent, twins: Twins) -> None:
        super().__init__()
        self.slots, self.intent = twins(ours.slots), twins(ours.intent)

    def loss(self, features: Ragged, targets: tuple[Ragged, torch.Tensor]) -> torch.Tensor:
        return self.slots.loss(features, targets[0]) + self.intent.loss(features, targets[1])


@converts(Siamese)
class TorchSiamese(torch.nn.Module):
    def __init__(self, ours: Siamese, twins: Twins) -> None:
        super().__init__()
        loss = ours.criterion
        self.pooling = pooling_of(ours)
        self.projection = twins(ours.projection) if ours.projection else torch.nn.Identity()
        if ours.paired:
            require(type(loss) is MeanClosestTripletLoss, "paired losses but mean-closest-triplet")
            closest = loss.parts[1]
            require(_hinge(closest) and closest.miner is MINERS["closest-negative"], "such a triplet loss")
            self.criterion, self.margin = mean_closest, closest.margin
        else:
            require(type(loss) is TripletLoss, "losses by label but the triplet loss")
            every = loss.miner is MINERS["all"] and loss.mean_over == "active"
            require(_hinge(loss) and every, "such a triplet loss")
            self.criterion, self.margin = all_triplets, loss.margin

    def loss(self, features: Ragged, targets: torch.Tensor) -> torch.Tensor:
        vectors = functional.normalize(self.projection(self.pooling(features)), dim=-1)
        return self.criterion(vectors, targets, self.margin)


def _hinge(loss: TripletLoss) -> bool:
    return (
        loss.similarity is SIMILARITIES["cosine"] and loss.cost is COSTS["hinge"] and loss.reduction == "mean"
    )


def mean_closest(vectors: torch.Tensor, groups: torch.Tensor, margin: float) -> torch.Tensor:
    """Of unit vectors, anchors and then partners: the hinge to the mean negative and to the closest one."""
    anchors, partners = vectors.chunk(2)
    similarity = anchors @ partners.T
    positive = similarity.diagonal()
    labels = groups[: len(anchors)]
    negative = labels[:, None] != labels
    count = negative.sum(1)
    mean = (similarity * negative).sum(1) / count.clamp(min=1)
    nearer = negative & (similarity <= positive[:, None])
    closest = similarity.masked_fill(~nearer, -torch.inf).amax(1)
    costs = torch.relu(mean - positive + margin) * (count > 0) + torch.relu(closest - positive + margin)
    return costs.sum() / len(anchors)


def all_triplets(vectors: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
    """Of unit vectors with labels: the mean hinge over all triplets that cost anything."""
    similarity = vectors @ vectors.T
    same = labels[:, None] == labels
    anchors, positives = torch.nonzero(same & ~torch.eye(len(labels), dtype=torch.bool), as_tuple=True)
    difference = similarity[anchors] - similarity[anchors, positives][:, None]
    costs = torch.relu(difference + margin) * ~same[anchors]
    return costs.sum() / (costs > 0).sum().clamp(min=1)


@converts(Decoder, Generator)
class TorchDecoder(torch.nn.Module):
    """Of attentions, "general" or none, after the cell."""

    def __init__(self, ours: Decoder, twins: Twins) -> None:
        super().__init__()
        plain(ours.criterion)
        require(not ours.asks_before, "attention before the cell")
        require(ours.bridge is not None, "a decoder whose state begins with zeros")
        self.end, self.repeats = ours.end, ours.repeats_summary
        self.pooling = None if isinstance(ours, Generator) else pooling_of(ours)
        self.embed, self.bridge, self.recurrence = map(twins, (ours.embed, ours.bridge, ours.recurrence))
        self.dropout, self.projection = twins(ours.dropout), twins(ours.projection)
        self.key = self.combine = None
        if ours.attention is not None:
            require(type(ours.attention).__name__ == "GeneralAttention", "attention but 'general'")
            self.key, self.combine = twins(ours.attention.key), twins(ours.combine)

    def loss(self, features: Any, targets: Ragged) -> torch.Tensor:
        summary = features if self.pooling is None else self.pooling(features)
        first = torch.full_like(targets.data[:, :1], self.end)
        before = Ragged(torch.cat([first, targets.data[:, :-1]], 1), targets.lengths)
        xs = self.dropout(self.embed(before))
        if self.repeats:
            again = summary[:, None].expand(-1, xs.data.shape[1], -1)
            xs = xs.map(lambda x: torch.cat([x, again], -1))
        ys = self.recurrence.scan(xs, self._start(summary))[0].data
        if self.key is not None:
            scores = ys @ self.key(features.data).transpose(1, 2)
            weights = scores.masked_fill(~features.mask[:, None], -torch.inf).softmax(-1)
            ys = torch.tanh(self.combine(torch.cat([ys, weights @ features.data], -1)))
        return surprise(Ragged(self.projection(self.dropout(ys)), targets.lengths), targets)

    def _start(self, summary: torch.Tensor) -> Any:
        state = torch.tanh(self.bridge(summary))[None]
        if isinstance(self.recurrence.recurrence, torch.nn.LSTM):
            return tuple(part.contiguous() for part in state.chunk(2, -1))
        return state


@converts(MultiLabel)
class TorchMultiLabel(torch.nn.Module):
    def __init__(self, ours: MultiLabel, twins: Twins) -> None:
        super().__init__()
        plain(ours.criterion)
        self.labels = ours.labels
        self.projection = twins(ours.projection)

    def loss(self, features: Ragged, targets: Ragged) -> torch.Tensor:
        scores = self.projection(features).rows()
        return functional.binary_cross_entropy_with_logits(scores, targets.rows()) * self.labels


@converts(CTCHead)
class TorchCTC(torch.nn.Module):
    def __init__(self, ours: CTCHead, twins: Twins) -> None:
        super().__init__()
        self.blank = ours.criterion.blank
        self.projection = twins(ours.projection)

    def loss(self, features: Ragged, targets: Ragged) -> torch.Tensor:
        log_p = self.projection(features).data.log_softmax(-1).transpose(0, 1)
        total = functional.ctc_loss(
            log_p, targets.data, features.lengths, targets.lengths, self.blank, reduction="sum"
        )
        return total / targets.lengths.sum()


@converts(Regressor)
class TorchRegressor(torch.nn.Module):
    def __init__(self, ours: Regressor, twins: Twins) -> None:
        super().__init__()
        self.pooling = pooling_of(ours)
        self.projection = twins(ours.projection)

    def loss(self, features: Ragged, targets: torch.Tensor) -> torch.Tensor:
        return functional.mse_loss(self.projection(self.pooling(features)), targets)
