"""What is wrong with a policy: one value for one thing to mend."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Problem", "Severity", "Stage", "doubtful", "refused", "shown"]


class Stage(StrEnum):
    """Who would say so: the API server by the kind's schema, or Cilium's agent when it loads the policy."""

    SCHEMA = "schema"
    AGENT = "agent"


class Severity(StrEnum):
    """An error keeps the policy out; a warning tells of a policy that is taken but does not do what it seems to."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: where (a JSON path such as `spec.ingress[0].toPorts`), what, and what to write instead."""

    path: str
    message: str
    fix: str
    stage: Stage
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.path or '(object)'}: {self.message}; {self.fix}"


def shown(value: object) -> str:
    """Return a value as it is quoted in messages, cut short where it is long.

    >>> shown("10.0.0.0/33")
    "'10.0.0.0/33'"
    """
    if isinstance(value, str):
        return repr(value) if len(value) <= 80 else f"{value[:80]!r}…"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def refused(path: str, message: str, fix: str) -> Problem:
    """Return the problem of a policy that the agent refuses."""
    return Problem(path, message, fix, Stage.AGENT)


def doubtful(path: str, message: str, fix: str) -> Problem:
    """Return the problem of a policy that is taken, and means something else than it seems to."""
    return Problem(path, message, fix, Stage.AGENT, Severity.WARNING)
