"""What was captured until one moment, as the page shows it and as the draft is judged by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from flowmine.advise.inforce import InForce
from flowmine.advise.recorded import Recorded, recorded
from flowmine.edges import Edges
from flowmine.ledger import Ledger
from flowmine.report.cast import cast
from flowmine.report.compose import Advice, compose
from flowmine.report.connections import folded
from flowmine.report.map import Map, maps
from flowmine.report.redact import shown
from flowmine.report.view import View, mapped
from flowmine.synth.options import Options

__all__ = ["Grounds", "Scene", "scene_of"]


@dataclass(frozen=True, eq=False)
class Grounds:
    """What drafts stand on: the advice on a capture, what may be written, and the policies in force.

    Where none were given, ``policies`` are none, and still say of which cluster and of what agents.
    """

    advice: Advice
    options: Options
    policies: InForce


@dataclass(frozen=True, eq=False)
class Scene:
    """One version of what was captured. ``rows`` are the rows of EDGES behind each connection of the view, in its order."""

    version: int
    edges: Edges
    known: Recorded
    grounds: Grounds
    view: View
    plans: tuple[Map, ...]
    rows: tuple[tuple[int, ...], ...]

    @property
    def advice(self) -> Advice:
        """What was found out about the capture."""
        return self.grounds.advice

    @property
    def ground(self) -> InForce:
        """The policies in force, or none of their cluster."""
        return self.grounds.policies

    @cached_property
    def connection_of(self) -> dict[int, int]:
        """The connection (its place in the view) of each row of EDGES."""
        return {row: place for place, some in enumerate(self.rows) for row in some}

    @cached_property
    def scanned(self) -> frozenset[int]:
        """The rows of EDGES that scans made: their strangers are nobody's peers."""
        return frozenset(row for scan in self.advice.drops.scans for row in scan.rows)

    def name(self, place: int) -> str:
        """Return how a connection is called: who, to whom, on which port."""
        each = self.view.connections[place]
        where = each.protocol if each.port is None else f"{each.port}/{each.protocol}"
        return f"{self.node(each.source)} to {self.node(each.target)} on {where}"

    def node(self, place: int) -> str:
        """Return how a node is called, a workload with its namespace."""
        node = self.view.nodes[place]
        group = self.view.groups[node.group]
        return f"{group.title}/{node.title}" if group.kind == "namespace" else node.title

    def names(self, rows: Sequence[int]) -> list[str]:
        """Return what the connections of some rows are called, each once."""
        return [self.name(place) for place in dict.fromkeys(self.connection_of[row] for row in rows)]


def scene_of(edges: Edges, ledger: Ledger, grounds: Grounds, title: str, version: int) -> Scene:
    """Return the scene of a capture read so far."""
    known = recorded(edges, grounds.options)
    rows = tuple(tuple(some) for _, some in folded(known, cast(known)))
    view = mapped(compose(edges, ledger, grounds.advice, title), shown)
    return Scene(version, edges, known, grounds, view, maps(view), rows)
