"""Which edges become rules, and what becomes of the others."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from flowmine.policy.model import Direction
from flowmine.synth.contacts import is_expressible
from flowmine.synth.scope import Scope
from flowmine.synth.traffic import Link, Spot
from flowmine.synth.universe import Universe

__all__ = ["Closed", "Doorkeeper", "LeftOut", "is_judged"]

Closed = Mapping[int, frozenset[Direction]]
"""By a workload's place, the sides for which it gets rules."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Edges that became no rule, by why, as rows of EDGES; and in words what a person should look at.

    ``unwritable`` have an end named as no policy may name it; ``unseen`` were sent and never seen to arrive or be
    answered, ``other`` lost to something else than policies.
    """

    dropped: tuple[int, ...] = ()
    audited: tuple[int, ...] = ()
    unnameable: tuple[int, ...] = ()
    unwritable: tuple[int, ...] = ()
    inexpressible: tuple[int, ...] = ()
    unseen: tuple[int, ...] = ()
    other: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()


def is_judged(link: Link, closed: Closed) -> bool:
    """Tell whether a rule for the link would stand in some policy."""
    return Direction.EGRESS in closed.get(link.source.workload, ()) or Direction.INGRESS in closed.get(
        link.target.workload, ()
    )


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Decides which links become rules: all delivered ones but noise, and of the others what a person asked for."""

    universe: Universe
    scope: Scope
    noise: Collection[int]
    unwritable: Collection[int] = ()
    """Places of the workloads that no policy can name."""

    def sort(
        self,
        every: Iterable[Link],
        closed: Closed,
        title: Callable[[Spot], str],
    ) -> tuple[list[Link], LeftOut]:
        """Return the links to admit, and those left out that a closed side would deny."""
        admitted: list[Link] = []
        out: dict[str, list[Link]] = defaultdict(list)
        for link in every:
            why = self._why_not(link, closed)
            if not why:
                admitted.append(link)
            elif is_judged(link, closed):
                out[why].append(link)
        named = {
            why: list(dict.fromkeys(_title(link, title) for link in out[why])) for why in (*_LOOK_AT, *_UNMET)
        }
        remarks = [f"{edge}: {text}" for why, text in _LOOK_AT.items() for edge in named[why]]
        remarks += [_listed(named[why], *words) for why, words in _UNMET.items() if named[why]]
        rows = {why: tuple(link.row for link in links) for why, links in out.items() if why in _REASONS}
        return admitted, LeftOut(**rows, remarks=tuple(remarks))

    def _why_not(self, link: Link, closed: Closed) -> str:
        if link.row in self.noise:
            return "noise"
        if link.outcome == "dropped" and not self._is_asked_for(link):
            return "dropped"
        if link.outcome == "audited" and not self.scope.audited:
            return "audited"
        if link.outcome in _UNMET:
            return link.outcome
        if not is_expressible(link):
            return "inexpressible"
        egress = Direction.EGRESS in closed.get(link.source.workload, ())
        ingress = Direction.INGRESS in closed.get(link.target.workload, ())
        if (egress and not link.target.is_nameable) or (ingress and not link.source.is_nameable):
            return "unnameable"
        if (egress and link.target.workload in self.unwritable) or (
            ingress and link.source.workload in self.unwritable
        ):
            return "unwritable"
        return ""

    def _is_asked_for(self, link: Link) -> bool:
        ends = [self.universe.party(spot.party) for spot in (link.source, link.target) if spot.workload >= 0]
        return any(selector.matches(end.labels) for selector in self.scope.dropped for end in ends if end)


_LOOK_AT = {
    "unnameable": "the peer came without labels or address, so no rule can name it",
    "unwritable": "the peer's namespace is no name that Kubernetes knows, so no rule can name it",
    "inexpressible": "no rule can name this protocol, port or type",
}

_UNMET = {
    "unseen": (
        "was sent, never seen to arrive or be answered, and",
        "were sent, never seen to arrive or be answered, and",
    ),
    "other": (
        "was lost to something else than policies (flowmine drops), and",
        "were lost to something else than policies (flowmine drops), and",
    ),
}
_REASONS = ("dropped", "audited", *_LOOK_AT, *_UNMET)
_SHOWN = 3


def _title(link: Link, title: Callable[[Spot], str]) -> str:
    return f"{title(link.source)} to {title(link.target)} on {link.port}/{link.protocol}"


def _listed(edges: Sequence[str], one: str, many: str) -> str:
    what = f"1 edge {one} is" if len(edges) == 1 else f"{len(edges):,} edges {many} are"
    more = f" and {len(edges) - _SHOWN:,} more" if len(edges) > _SHOWN else ""
    return f"{what} left out: {', '.join(edges[:_SHOWN])}{more}"
