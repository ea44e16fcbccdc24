"""All that tinyseq asks of whatever carries data between processes."""

from typing import Any, Protocol

from tinyseq.backend import Array


class Processes(Protocol):
    """This process, and the others that train the same model.

    Every process calls the same methods in the same order. A process that waits in vain, because another has
    died or hangs, ends the whole job and says which one it waits for.
    """

    rank: int  # 0 to size - 1
    size: int

    def allgather(self, value: Any) -> list[Any]:
        """The values of all processes, by rank; anything that pickle can carry."""

    def sum(self, array: Array) -> Array:
        """The sum over all processes of a NumPy array (n,) of floats, the same bits in each of them."""
