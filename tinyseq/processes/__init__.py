"""Several processes that train one model: what they exchange, and how they share its batches."""

from tinyseq.processes.communicator import Processes as Processes
from tinyseq.processes.mpi import MPI as MPI
from tinyseq.processes.team import Team as Team
