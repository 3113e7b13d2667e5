"""The reason of a verdict as values: what `trace` returns, `explain` prints and reports show."""

from dataclasses import dataclass

from flowmine.policy.model import Direction

__all__ = ["Check", "EntryTrace", "PeerTrace", "RuleTrace", "SideTrace", "Trace"]


@dataclass(frozen=True, slots=True)
class Check:
    """One condition: what is asked, what was found, and whether it holds."""

    asked: str
    found: str
    holds: bool


@dataclass(frozen=True, slots=True)
class PeerTrace:
    """One peer of an entry, condition by condition; it holds where all do."""

    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether the peer is meant."""
        return all(check.holds for check in self.checks)


@dataclass(frozen=True, slots=True)
class EntryTrace:
    """One entry of a rule that selects the subject: its peers and ports, whether it matched, whether it decided.

    `peers` None is anybody; `ports` are one check for each port written; `requests` the HTTP or DNS rules, where a
    request was asked about.
    """

    path: str
    denies: bool
    peers: tuple[PeerTrace, ...] | None
    ports: tuple[Check, ...]
    requests: tuple[Check, ...]
    matches: bool
    decides: bool


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule (a `spec`) and one subject: does it select it, does it close the direction, and its entries if so."""

    policy: str
    path: str
    checks: tuple[Check, ...]
    closes: bool
    entries: tuple[EntryTrace, ...]

    @property
    def selects(self) -> bool:
        """Whether the rule applies to the subject."""
        return all(check.holds for check in self.checks)


@dataclass(frozen=True, slots=True)
class SideTrace:
    """One side of a connection: who is judged, the outcome, the reason in a sentence, and the rules of its direction.

    `own` names Cilium's unwritten allows that decided; `parser` the proxy that the connection is redirected to.
    """

    direction: Direction
    subject: str
    outcome: str
    reason: str
    rules: tuple[RuleTrace, ...]
    own: tuple[str, ...]
    parser: str

    @property
    def selecting(self) -> tuple[RuleTrace, ...]:
        """The rules that select the subject."""
        return tuple(rule for rule in self.rules if rule.selects)


@dataclass(frozen=True, slots=True)
class Trace:
    """The decision on one connection: both sides, and what came of them; None where no such request was asked."""

    source: str
    destination: str
    port: str
    egress: SideTrace
    ingress: SideTrace
    verdict: str
    http_allowed: bool | None
    dns_allowed: bool | None
