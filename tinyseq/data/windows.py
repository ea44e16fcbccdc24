"""One long sequence of ids, cut so that a recurrent state can be carried from batch to batch."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyseq.contracts.pairing import check_count, is_whole
from tinyseq.errors import DataError
from tinyseq.sequences import Layout, Sequences


class ContiguousWindows:
    """Batches (inputs, targets) for truncated back-propagation through time over one long sequence of ids.

    The ids are cut into `batch_size` streams of equal length. Row b of batch k goes on where row b of batch
    k - 1 ended, so the state that the rows end with is the one that they start with next. Targets are the ids
    one step later. Every id but the first is a target exactly once; the last window may be shorter than
    `window`; only the last `dropped` ids (fewer than `batch_size`) are left out, as they would not fill every
    stream.

    Windows can be counted and indexed, so an interrupted epoch can go on where it stopped. Raises DataError
    if there are too few ids for one step, ConfigError for sizes below 1.
    """

    def __init__(self, ids: Any, batch_size: int, window: int) -> None:
        check_count("ContiguousWindows", "batch_size", batch_size)
        check_count("ContiguousWindows", "window", window)
        ids = np.asarray(ids)
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise DataError(
                f"Windows are cut from integer ids (tokens,), not {ids.dtype} of shape {ids.shape}."
            )
        steps = (len(ids) - 1) // batch_size
        if steps < 1:
            raise DataError(
                f"{len(ids)} ids are too few for {batch_size} streams, which need {batch_size + 1} or more: "
                "use a longer text or a smaller batch."
            )
        self.ids = ids
        self.batch_size = batch_size
        self.window = window
        self.tokens = steps * batch_size  # targets of all windows
        self.dropped = len(ids) - 1 - self.tokens
        # (steps, streams): a window of rows is packed as Sequences want it
        self._inputs = ids[: self.tokens].reshape(batch_size, steps).T
        self._targets = ids[1 : self.tokens + 1].reshape(batch_size, steps).T

    def one_stream(self) -> "ContiguousWindows":
        """The same text as one stream, in windows of as many ids: for figures that do not depend on streams.

        No id is left out, and every one is predicted from all that stands before it.
        """
        return ContiguousWindows(self.ids, 1, self.batch_size * self.window)

    def __len__(self) -> int:
        return -(-len(self._inputs) // self.window)

    def __getitem__(self, k: int) -> tuple[Sequences, Sequences]:
        if not is_whole(k) or not 0 <= k < len(self):
            raise IndexError(f"There is no window {k}; there are {len(self)}.")
        rows = slice(k * self.window, (k + 1) * self.window)
        inputs, targets = self._inputs[rows], self._targets[rows]
        layout = Layout([len(inputs)] * inputs.shape[1])
        return Sequences(inputs.reshape(-1), layout), Sequences(targets.reshape(-1), layout)

    def __iter__(self) -> Iterator[tuple[Sequences, Sequences]]:
        return (self[k] for k in range(len(self)))
