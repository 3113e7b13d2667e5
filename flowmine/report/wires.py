"""The lines between the boxes of a map: one for each pair and outcome, spread over the sides of their boxes.

Where there are few, a line goes round the boxes that it is not for.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowmine.report.map import Map, Slot
from flowmine.report.view import OUTCOMES, View

__all__ = ["Wire", "wires"]

_Key = tuple[int, int, int]
_Point = tuple[float, float]
_Curve = tuple[_Point, _Point, _Point, _Point]

_BEND, _BULGE, _LOOP = 26, 36, 22
_AVOIDED = 200
"""Lines up to which each looks for a way round boxes; beyond, no way is free."""

_DETOURS = (0, -34, 34, -60, 60, -95, 95, -140, 140, -200, 200)
_CLEARANCE = 5
_FAR = 1_000_000
_STEPS = np.linspace(0.04, 0.96, 24)
_BASIS = np.stack(
    [(1 - _STEPS) ** 3, 3 * _STEPS * (1 - _STEPS) ** 2, 3 * _STEPS**2 * (1 - _STEPS), _STEPS**3], axis=1
)


@dataclass(frozen=True, slots=True)
class Wire:
    """Connections between two boxes of one outcome: how many, and the path of the line (SVG)."""

    source: int
    target: int
    outcome: str
    connections: int
    path: str


def wires(view: View, plan: Map) -> tuple[Wire, ...]:
    """Return the lines of a map, by source, target and outcome.

    What stays within a folded group has none, nor what passes by the group that a map opens alone.
    """
    ranks = {outcome: place for place, outcome in enumerate(OUTCOMES)}
    counts: Counter[_Key] = Counter()
    for each in view.connections:
        source, target = plan.slot_of[each.source], plan.slot_of[each.target]
        if source < 0 or target < 0 or (source == target and plan.slots[source].node < 0):
            continue
        if plan.group < 0 or plan.group in (plan.slots[source].group, plan.slots[target].group):
            counts[source, target, ranks[each.outcome]] += 1
    keys = sorted(counts)
    heights = _heights(keys, plan.slots)
    boxes = _boxes(plan) if len(keys) <= _AVOIDED else None
    names = list(OUTCOMES)
    return tuple(
        Wire(*key[:2], names[key[2]], counts[key], _path(plan.slots, key, heights[key], boxes))
        for key in keys
    )


def _heights(keys: Sequence[_Key], slots: Sequence[Slot]) -> dict[_Key, tuple[float, float]]:
    """Return where each line leaves and arrives: spread over the side of its box in the order of the far ends."""
    sides: dict[tuple[int, int], list[tuple[int, int, _Key, int]]] = defaultdict(list)
    for key in keys:
        one, other = slots[key[0]], slots[key[1]]
        leaving, arriving = _directions(one, other)
        sides[key[0], leaving].append((other.y, key[2], key, 0))
        sides[key[1], arriving].append((one.y, key[2], key, 1))
    at: dict[tuple[_Key, int], float] = {}
    for (slot, _), ends in sides.items():
        box = slots[slot]
        for place, (_, _, key, end) in enumerate(sorted(ends), 1):
            at[key, end] = box.y + box.height * place / (len(ends) + 1)
    return {key: (at[key, 0], at[key, 1]) for key in keys}


def _directions(one: Slot, other: Slot) -> tuple[int, int]:
    """Return the sides (1 right, -1 left) at which a line leaves one box and reaches another."""
    if other.x >= one.x + one.width:
        return 1, -1
    if one.x >= other.x + other.width:
        return -1, 1
    return 1, 1


def _path(
    slots: Sequence[Slot], key: _Key, heights: tuple[float, float], boxes: NDArray[np.float64] | None
) -> str:
    """Return the path of a line: the straightest of its curves that meets the fewest boxes of others."""
    curves = _curves(slots[key[0]], slots[key[1]], *heights)
    if boxes is None:
        return _written(next(curves))
    others = np.delete(boxes, list({key[0], key[1]}), axis=0)
    best, fewest = next(curves), -1
    for curve in (best, *curves):
        met = _met(curve, others)
        if fewest < 0 or met < fewest:
            best, fewest = curve, met
        if not met:
            break
    return _written(best)


def _curves(one: Slot, other: Slot, start: float, end: float) -> Iterator[_Curve]:
    """Yield the curves that a line may take, the straightest first."""
    leaving, arriving = _directions(one, other)
    x1 = one.x + one.width if leaving > 0 else one.x
    x2 = other.x + other.width if arriving > 0 else other.x
    if one == other:
        top, bottom = one.y + 9, one.y + one.height - 9
        yield (x1, top), (x1 + _LOOP, top - 6), (x1 + _LOOP, bottom + 6), (x1, bottom)
        return
    if leaving == arriving:
        for bulge in (_BULGE, 2 * _BULGE, 3 * _BULGE):
            right = max(x1, x2) + bulge
            yield (x1, start), (right, start), (right, end), (x2, end)
        return
    bend = max(_BEND, abs(x2 - x1) // 2)
    for aside in _DETOURS:
        yield (
            (x1, start),
            (x1 + leaving * bend, start + aside),
            (x2 + arriving * bend, end + aside),
            (x2, end),
        )


def _boxes(plan: Map) -> NDArray[np.float64]:
    """Return what lines go round, as corners: each slot in order, and all above, below and right of the map."""
    corners = [
        (
            each.x - _CLEARANCE,
            each.y - _CLEARANCE,
            each.x + each.width + _CLEARANCE,
            each.y + each.height + _CLEARANCE,
        )
        for each in plan.slots
    ]
    corners += [(-_FAR, -_FAR, _FAR, _CLEARANCE), (-_FAR, plan.height - _CLEARANCE, _FAR, _FAR)]
    corners.append((plan.width - 1, -_FAR, _FAR, _FAR))
    return np.array(corners, np.float64)


def _met(curve: _Curve, boxes: NDArray[np.float64]) -> int:
    """Return how many of a curve's points lie in boxes."""
    points = _BASIS @ np.array(curve, np.float64)
    x, y = points[:, :1], points[:, 1:]
    inside = (x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3])
    return int(inside.sum())


def _written(curve: _Curve) -> str:
    (x1, y1), *rest = ((round(x), round(y)) for x, y in curve)
    return f"M{x1} {y1}C" + " ".join(f"{x} {y}" for x, y in rest)
