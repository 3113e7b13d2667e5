"""Lay a directed graph out in columns, callers left of whom they call: the layered way, with few crossings.

Cycles are opened where the least traffic runs (Eades, Lin and Smyth's greedy order), columns come from the longest path,
order within a column from neighbours' barycentres, and heights from least squares without overlap. The same graph gives
the same picture: ties are settled by the order in which nodes were added.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import TypeVar

import networkx as nx

__all__ = ["Placed", "Spacing", "layered"]

Item = TypeVar("Item", bound=Hashable)
Size = tuple[int, int]

_SWEEPS = 6


@dataclass(frozen=True, slots=True)
class Spacing:
    """Room between columns and rows in pixels; the height at which a column wraps; how many columns at most."""

    across: int = 90
    down: int = 16
    height: int = 900
    columns: int = 12


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the top left corner of each node is, and how large the whole is."""

    places: Mapping[Hashable, tuple[int, int]]
    width: int
    height: int


def layered(
    graph: "nx.DiGraph[Item]",
    sizes: Mapping[Item, Size],
    spacing: Spacing | None = None,
    pinned: Mapping[Item, int] | None = None,
) -> Placed:
    """Return the places of a graph's nodes.

    ``sizes`` are width and height by node; ``pinned`` puts a node before (-1) or behind (1) all that are not pinned. An
    edge's ``weight`` counts where a cycle must be opened.
    """
    spacing = spacing or Spacing()
    if not graph:
        return Placed({}, 0, 0)
    acyclic = _acyclic(graph)
    ordered = _ordered(acyclic, _columns(acyclic, spacing.columns, pinned or {}))
    columns = [part for column in ordered for part in _wrapped(column, sizes, spacing)]
    return _placed(columns, _heights(graph, columns, sizes, spacing.down), sizes, spacing)


def _acyclic(graph: "nx.DiGraph[Item]") -> "nx.DiGraph[Item]":
    """Return the graph with the edges turned round that run against the greedy order."""
    rank = {node: place for place, node in enumerate(_greedy_order(graph))}
    made: nx.DiGraph[Item] = nx.DiGraph()
    made.add_nodes_from(graph)
    made.add_edges_from(
        (one, other) if rank[one] < rank[other] else (other, one)
        for one, other in graph.edges
        if one != other
    )
    return made


def _greedy_order(graph: "nx.DiGraph[Item]") -> list[Item]:
    """Return the nodes so that little weight runs backwards: sinks last, sources first, else who gives most over taking."""
    left = dict.fromkeys(graph)
    weights = {(one, other): weight for one, other, weight in graph.edges.data("weight", 1) if one != other}
    gives, takes = dict.fromkeys(left, 0), dict.fromkeys(left, 0)
    for (one, other), weight in weights.items():
        gives[one] += weight
        takes[other] += weight
    first: list[Item] = []
    last: list[Item] = []
    while left:
        sink = next((each for each in left if not gives[each]), None)
        giver = max(left, key=lambda each: (not takes[each], gives[each] - takes[each]))
        node: Item = giver if sink is None else sink
        (first if sink is None else last).append(node)
        del left[node]
        for other in graph.successors(node):
            takes[other] -= weights.get((node, other), 0)
        for other in graph.predecessors(node):
            gives[other] -= weights.get((other, node), 0)
    return [*first, *reversed(last)]


def _columns(acyclic: "nx.DiGraph[Item]", most: int, pinned: Mapping[Item, int]) -> dict[Item, int]:
    """Return each node's column: its longest path from a source, sources beside whom they call, at most so many."""
    free = acyclic.subgraph([node for node in acyclic if not pinned.get(node)])
    column: dict[Item, int] = {}
    for place, generation in enumerate(nx.topological_generations(free)):
        column.update(dict.fromkeys(generation, place))
    for node in free:
        called = [column[other] for other in free.successors(node)]
        if called and not any(True for _ in free.predecessors(node)):
            column[node] = min(called) - 1
    deepest = max(column.values(), default=0)
    if deepest >= most:
        column = {node: place * most // (deepest + 1) for node, place in column.items()}
    end = max(column.values(), default=0) + 1
    return {node: {-1: -1, 1: end}.get(pinned.get(node, 0), column.get(node, 0)) for node in acyclic}


def _ordered(acyclic: "nx.DiGraph[Item]", column: Mapping[Item, int]) -> list[list[Item]]:
    """Return the columns, each in the order that its neighbours' barycentres ask for."""
    columns: dict[int, list[Item]] = {}
    for node in acyclic:
        columns.setdefault(column[node], []).append(node)
    order = [columns[place] for place in sorted(columns)]
    for sweep in range(_SWEEPS):
        rank = {node: place / len(nodes) for nodes in order for place, node in enumerate(nodes)}
        before = acyclic.predecessors if sweep % 2 == 0 else acyclic.successors
        for nodes in order if sweep % 2 == 0 else reversed(order):
            centre = {
                node: sum(near) / len(near)
                if (near := [rank[other] for other in before(node)])
                else rank[node]
                for node in nodes
            }
            nodes.sort(key=centre.__getitem__)
            rank.update({node: place / len(nodes) for place, node in enumerate(nodes)})
    return order


def _wrapped(column: Sequence[Item], sizes: Mapping[Item, Size], spacing: Spacing) -> list[Sequence[Item]]:
    """Return a column as several where it is too tall, and wider than it is tall is no better."""
    tall = sum(sizes[node][1] + spacing.down for node in column)
    wide = max(sizes[node][0] for node in column) + spacing.across
    parts = min(ceil(tall / spacing.height), max(1, round(sqrt(tall / wide))))
    length = ceil(len(column) / parts)
    return [column[start : start + length] for start in range(0, len(column), length)]


def _heights(
    graph: "nx.DiGraph[Item]", columns: Sequence[Sequence[Item]], sizes: Mapping[Item, Size], gap: int
) -> dict[Item, float]:
    """Return the top of each node: near its neighbours' middle, in its column's order, without overlap."""
    tops: dict[Item, float] = {}
    for column in columns:
        total = sum(sizes[node][1] + gap for node in column) - gap
        at = -total / 2
        for node in column:
            tops[node] = at
            at += sizes[node][1] + gap
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = []
            for node in column:
                near = [
                    tops[other] + sizes[other][1] / 2
                    for other in nx.all_neighbors(graph, node)
                    if other != node
                ]
                wanted.append(sum(near) / len(near) - sizes[node][1] / 2 if near else tops[node])
            tops.update(zip(column, _spread(wanted, [sizes[node][1] + gap for node in column]), strict=True))
    lowest = min(tops.values())
    return {node: top - lowest for node, top in tops.items()}


def _spread(wanted: Sequence[float], heights: Sequence[int]) -> list[float]:
    """Return tops as near to those wanted as can be (least squares) in order and without overlap: pooled neighbours."""
    blocks: list[tuple[float, int]] = []
    offsets = [0]
    for height in heights:
        offsets.append(offsets[-1] + height)
    for want, offset in zip(wanted, offsets, strict=False):
        block = (want - offset, 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, count = blocks.pop()
            block = ((mean * count + block[0] * block[1]) / (count + block[1]), count + block[1])
        blocks.append(block)
    means = [mean for mean, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]


def _placed(
    columns: Sequence[Sequence[Item]],
    tops: Mapping[Item, float],
    sizes: Mapping[Item, Size],
    spacing: Spacing,
) -> Placed:
    places: dict[Hashable, tuple[int, int]] = {}
    left = 0
    for column in columns:
        wide = max(sizes[node][0] for node in column)
        for node in column:
            places[node] = (left + (wide - sizes[node][0]) // 2, round(tops[node]))
        left += wide + spacing.across
    tall = max(places[node][1] + sizes[node][1] for column in columns for node in column)
    return Placed(places, left - spacing.across, tall)
