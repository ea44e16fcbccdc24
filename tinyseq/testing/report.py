"""What became of every law."""

from dataclasses import dataclass
from typing import Literal

from tinyseq.testing.law import Law

State = Literal["kept", "broken", "skipped", "does not apply"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One law under one case; `message` says why it is broken, was skipped, or does not apply."""

    law: Law
    case: str
    state: State
    message: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All outcomes for one component; print it for a table."""

    component: str
    outcomes: tuple[Outcome, ...]

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """The laws that are broken."""
        return tuple(o for o in self.outcomes if o.state == "broken")

    @property
    def applicable(self) -> int:
        """How many laws apply, counted once for each case."""
        return sum(o.state != "does not apply" for o in self.outcomes)

    @property
    def ran(self) -> int:
        """How many of those were tried."""
        return sum(o.state in ("kept", "broken") for o in self.outcomes)

    @property
    def ok(self) -> bool:
        """Whether no law is broken."""
        return not self.failures

    @property
    def summary(self) -> str:
        """The figures in one line."""
        tried = f"{self.ran} of {self.applicable} laws that apply were tried"
        return f"{self.component}: {tried}, {len(self.failures)} broken"

    def __str__(self) -> str:
        lines = [self.summary]
        for case in dict.fromkeys(o.case for o in self.outcomes):
            lines.append(case)
            for o in (o for o in self.outcomes if o.case == case):
                reason = f": {o.message}" if o.state in ("skipped", "does not apply") else ""
                lines.append(f"  {o.law.title:<24} {o.state}{reason}")
        return "\n".join([*lines, *(f"\n{o.message}" for o in self.failures)])
