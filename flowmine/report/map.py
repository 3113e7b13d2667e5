"""The map of who talks to whom: namespaces as groups, what runs in them, layered by direction; and its SVG.

A small capture is one map with every group open. A large one is a map of folded groups, and one map for each group that
shows it open among its neighbours, folded.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isqrt

import networkx as nx

from flowmine.report.layout import Placed, Spacing, layered
from flowmine.report.view import Connection, View

__all__ = ["Frame", "Map", "Slot", "maps"]

_Pairs = Counter[tuple[int, int]]

OPEN_AT_MOST = 40
"""Nodes that one map shows with every group open."""

_NODE = (156, 40)
_FOLDED = (176, 52)
_PAD, _HEAD = 14, 30
_MARGIN = 16
_ROOM = 30
"""Above, below and right of everything, for lines that go round."""

_INSIDE = Spacing(across=56, down=14, height=560, columns=4)
_BETWEEN = Spacing(across=76, down=22, height=900, columns=8)
_SIDES = {"caller": -1, "called": 1}


@dataclass(frozen=True, slots=True)
class Slot:
    """A box of the map: a node, or (``node`` -1) a folded group."""

    x: int
    y: int
    width: int
    height: int
    group: int
    node: int = -1


@dataclass(frozen=True, slots=True)
class Frame:
    """The border of an open group."""

    x: int
    y: int
    width: int
    height: int
    group: int


@dataclass(frozen=True, slots=True)
class Map:
    """Boxes and borders in pixels; ``group`` is the one that the map opens, -1 for the map of all.

    ``slot_of`` is each node's box by place in ``slots``, -1 where it is not on the map.
    """

    group: int
    width: int
    height: int
    slots: tuple[Slot, ...]
    frames: tuple[Frame, ...]
    slot_of: tuple[int, ...]


def maps(view: View) -> tuple[Map, ...]:
    """Return the map of all, then one of each group in their order, where there is more than one."""
    everything = range(len(view.groups))
    pairs, across = _Pairs(), _Pairs()
    for each in view.connections:
        pairs[each.source, each.target] += _weight(each)
    for (source, target), count in pairs.items():
        across[view.nodes[source].group, view.nodes[target].group] += count
    inner = [_inside(view, group, pairs) for group in everything]
    open_all = len(view.nodes) <= OPEN_AT_MOST
    first = _map(view, -1, everything, {each: inner[each] for each in everything if open_all}, across)
    if len(view.groups) < 2:
        return (first,)
    return (first, *(_alone(view, group, inner[group], across) for group in everything))


def _weight(connection: Connection) -> int:
    """Return how much a connection says of direction: as much as went through, and next to nothing of what was refused."""
    return max(1, connection.delivered) if connection.outcome == "delivered" else 0


def _alone(view: View, group: int, inside: Placed, across: _Pairs) -> Map:
    """Return the map of a group, open, and of those that it exchanges connections with: callers left, called right."""
    own = Counter({pair: weight for pair, weight in across.items() if group in pair})
    near = sorted({group, *(end for pair in own for end in pair)})
    return _map(view, group, near, {group: inside}, own)


def _map(view: View, group: int, shown: Sequence[int], inner: Mapping[int, Placed], across: _Pairs) -> Map:
    unfolded = set(inner)
    sizes = {each: _outline(inner[each]) if each in unfolded else _FOLDED for each in shown}
    graph = _graph(shown, across)
    pinned = {each: side for each in shown if (side := _SIDES.get(view.groups[each].side, 0))}
    spacing = replace(_BETWEEN, columns=max(3, min(_BETWEEN.columns, isqrt(len(shown)))))
    outer = layered(graph, sizes, spacing, pinned)
    slots: list[Slot] = []
    frames: list[Frame] = []
    slot_of = [-1] * len(view.nodes)
    for each in shown:
        x, y = outer.places[each][0] + _MARGIN, outer.places[each][1] + _ROOM
        if each not in unfolded:
            slot_of = [len(slots) if view.nodes[n].group == each else at for n, at in enumerate(slot_of)]
            slots.append(Slot(x, y, *_FOLDED, each))
            continue
        frames.append(Frame(x, y, *sizes[each], each))
        for node, (left, top) in sorted(inner[each].places.items(), key=str):
            assert isinstance(node, int)
            slot_of[node] = len(slots)
            slots.append(Slot(x + _PAD + left, y + _HEAD + top, *_NODE, each, node))
    return Map(
        group,
        outer.width + _MARGIN + _ROOM,
        outer.height + 2 * _ROOM,
        tuple(slots),
        tuple(frames),
        tuple(slot_of),
    )


def _inside(view: View, group: int, pairs: _Pairs) -> Placed:
    nodes = [place for place, node in enumerate(view.nodes) if node.group == group]
    spacing = replace(_INSIDE, columns=max(_INSIDE.columns, isqrt(len(nodes))))
    return layered(_graph(nodes, pairs), dict.fromkeys(nodes, _NODE), spacing)


def _outline(inner: Placed) -> tuple[int, int]:
    return inner.width + 2 * _PAD, inner.height + _HEAD + _PAD


def _graph(nodes: Iterable[int], pairs: _Pairs) -> "nx.DiGraph[int]":
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_weighted_edges_from(
        (one, other, weight)
        for (one, other), weight in pairs.items()
        if one != other and one in graph and other in graph
    )
    return graph
