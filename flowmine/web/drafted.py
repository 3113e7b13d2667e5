"""A draft as the page shows it: its YAML, the map's colours under it, and what it changes for the connections seen."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from flowmine.advise.admittext import unified
from flowmine.advise.rulings import Ruling
from flowmine.advise.simulate import ShiftKind
from flowmine.engine.verdict import Outcome
from flowmine.policy.model import Direction
from flowmine.report.entryspans import entry_spans
from flowmine.report.html import drawn_wires
from flowmine.report.redact import shown
from flowmine.report.view import OUTCOMES, RuleText, Side, View
from flowmine.web.draft import Draft, in_force_draft
from flowmine.web.judged import Court, Judged
from flowmine.web.scene import Scene

__all__ = ["ConnectionView", "DraftView", "Last", "connection_view", "draft_view"]

_MOST = 200
"""Connections of one kind that are listed; the rest is counted."""

_FEW = 20
"""Requests that are told of one connection."""

_RANKS = {outcome: place for place, outcome in enumerate(OUTCOMES)}
_ORDER = (Direction.EGRESS, Direction.INGRESS)


@dataclass(frozen=True, slots=True)
class PaperView:
    """A policy of the draft; ``state`` is new, changed or same, against those in force; ``diff`` what changed.

    ``fresh`` are the entries, by place in ``rules``, that no policy in force of this name has.
    """

    ref: str
    kind: str
    namespace: str
    name: str
    text: str
    rules: tuple[RuleText, ...]
    state: str
    diff: str = ""
    fresh: tuple[int, ...] = ()
    origin: str = "draft"


@dataclass(frozen=True, slots=True)
class Effect:
    """A connection for which the draft changes something: its place, and at which sides by whom."""

    place: int
    sides: tuple[str, ...]
    by: tuple[str, ...]
    requests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Effects:
    """Connections for which the draft changes the same: those listed, and how many there are."""

    kind: str
    count: int
    items: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Last:
    """What the last change did: in sentences, and which connections it lets through, and does not any more."""

    done: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    gained: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DraftView:
    """All that the page shows of a draft. ``outcomes`` are places in the view's outcomes, one a connection."""

    revision: int
    view: int
    origin: str
    starts: tuple[str, ...]
    undo: str | None
    redo: str | None
    outcomes: tuple[int, ...]
    wires: list[list[tuple[int, int, int, str]]]
    policies: tuple[PaperView, ...]
    gone: tuple[str, ...]
    effects: tuple[Effects, ...]
    changes: tuple[tuple[int, str], ...]
    last: Last
    folder: str = ""
    saved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """What the draft says of one connection; ``open`` are sides of workloads that nothing closes."""

    works: bool
    kind: str
    egress: Side
    ingress: Side
    open: tuple[str, ...]


def paper_views(draft: Draft) -> tuple[tuple[PaperView, ...], tuple[str, ...]]:
    """Return the draft's policies as shown, and the names of those in force that it has no more."""
    before = in_force_draft(draft.ground, "").papers
    made = []
    for ref, paper in sorted(draft.papers.items()):
        kind, namespace, name = ref.split("/", 2)
        old = before.get(ref)
        state = "new" if old is None else "same" if old.manifest == paper.manifest else "changed"
        diff = (
            unified(old.text, paper.text, "in force", "draft")
            if old is not None and state == "changed"
            else ""
        )
        rules = tuple(RuleText(path, *lines) for path, lines in entry_spans(paper.text).items())
        fresh = _fresh(old.text, paper.text, rules) if old is not None and diff else ()
        made.append(
            PaperView(
                shown(ref), kind, namespace, shown(name), shown(paper.text), rules, state, shown(diff), fresh
            )
        )
    return tuple(made), tuple(ref for ref in sorted(before) if ref not in draft.papers)


def _fresh(before: str, after: str, rules: Sequence[RuleText]) -> tuple[int, ...]:
    """Return the entries whose lines another text of the policy does not hold as one of its entries."""
    lines, old = after.splitlines(), before.splitlines()
    known = {"\n".join(old[first : last + 1]) for first, last in entry_spans(before).values()}
    texts = ("\n".join(lines[rule.first : rule.last + 1]) for rule in rules)
    return tuple(place for place, text in enumerate(texts) if text not in known)


def outcomes_under(scene: Scene, court: Court, judged: Judged) -> tuple[int, ...]:
    """Return what would become of each connection: its outcome's place; what policies have no say in stays."""
    return tuple(
        _RANKS[_outcome(each.outcome, all(court.works(row, judged.rulings[row]) for row in rows))]
        for each, rows in zip(scene.view.connections, scene.rows, strict=True)
    )


def _outcome(recorded: str, works: bool) -> str:
    if recorded == "other" or (recorded == "unseen" and works):
        return recorded
    return "delivered" if works else "dropped"


def draft_view(scene: Scene, court: Court, judged: Judged, **more: object) -> DraftView:
    """Return the view of a draft; ``more`` are the fields that the desk knows."""
    policies, gone = paper_views(judged.draft)
    outcomes = outcomes_under(scene, court, judged)
    kinds = _by_kind(scene, judged)
    return DraftView(
        view=scene.version,
        origin=judged.draft.origin,
        outcomes=outcomes,
        wires=drawn_wires(_shaded(scene, outcomes), scene.plans),
        policies=policies,
        gone=gone,
        effects=tuple(_effects(scene, kinds, judged)),
        changes=tuple((place, kind) for kind, places in kinds.items() for place in places),
        **more,  # type: ignore[arg-type]
    )


def _shaded(scene: Scene, outcomes: Sequence[int]) -> View:
    """Return the view with other outcomes: the map keeps its boxes where they are."""
    names = list(OUTCOMES)
    connections = zip(scene.view.connections, outcomes, strict=True)
    return replace(
        scene.view, connections=tuple(replace(each, outcome=names[rank]) for each, rank in connections)
    )


_Kinds = dict[ShiftKind, dict[int, list[int]]]


def _by_kind(scene: Scene, judged: Judged) -> _Kinds:
    """Return the rows that change, by kind and connection; a connection has the gravest of its rows' kinds."""
    found: dict[int, dict[ShiftKind, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row, kind in judged.kinds.items():
        found[scene.connection_of[row]][kind].append(row)
    made: _Kinds = {kind: {} for kind in ShiftKind}
    for place, rows in found.items():
        gravest = next(kind for kind in ShiftKind if kind in rows)
        made[gravest][place] = rows[gravest]
    return made


def _effects(scene: Scene, kinds: _Kinds, judged: Judged) -> Iterable[Effects]:
    for kind, found in kinds.items():
        places = sorted(found, key=lambda place: (-scene.view.connections[place].events, place))
        if places:
            listed = tuple(_effect(scene, judged, place, found[place]) for place in places[:_MOST])
            yield Effects(kind, len(places), listed)


def _effect(scene: Scene, judged: Judged, place: int, rows: Sequence[int]) -> Effect:
    rulings = [judged.rulings[row] for row in rows]
    sides = tuple(way for way in _ORDER if any(not ruling.sides[way].outcome.passes for ruling in rulings))
    by = dict.fromkeys(name for way in sides or _ORDER for ruling in rulings for name in ruling.sides[way].by)
    requests: dict[int, None] = {}
    if not sides:  # only requests change: those refused, or let through that were not
        opens = judged.kinds[rows[0]] is ShiftKind.NEWLY_ALLOWED
        for row, ruling in zip(rows, rulings, strict=True):
            denied = scene.known.denied_requests.get(row, ())
            some = set(denied) - set(ruling.refused) if opens else set(ruling.refused) - set(denied)
            requests.update(dict.fromkeys(sorted(some)))
    told = dict.fromkeys(_told(scene, request) for request in requests)
    return Effect(place, sides, tuple(map(shown, by)), tuple(told)[:_FEW])


def _told(scene: Scene, request: int) -> str:
    method, host, path = scene.known.request(request)
    return shown(f"{method} {path or host}")


def connection_view(
    scene: Scene, court: Court, judged: Judged, policies: Sequence[PaperView], place: int
) -> ConnectionView:
    """Return what the draft says of a connection, with its entries by place among ``policies``."""
    rows = scene.rows[place]
    rulings = [judged.rulings[row] for row in rows]
    kinds = [kind for row in rows if (kind := judged.kinds.get(row)) is not None]
    known = {policy.ref: number for number, policy in enumerate(policies)}
    ends = (scene.known.links[rows[0]].source, scene.known.links[rows[0]].target)
    sides = [_side(rulings, way, known, policies) for way in _ORDER]
    return ConnectionView(
        all(court.works(row, judged.rulings[row]) for row in rows),
        min(kinds, key=list(ShiftKind).index).value if kinds else "",
        sides[0],
        sides[1],
        tuple(
            way
            for way, side, spot in zip(_ORDER, sides, ends, strict=True)
            if side.outcome == Outcome.NO_POLICY.label and spot.workload >= 0
        ),
    )


def _side(
    rulings: Sequence[Ruling], way: Direction, known: Mapping[str, int], policies: Sequence[PaperView]
) -> Side:
    """Return one side of several rows: the gravest outcome, and all who had a hand in it."""
    sides = [ruling.sides[way] for ruling in rulings]
    if not any(side.governed for side in sides):
        return Side("not governed")
    gravest = max((side.outcome for side in sides), key=lambda outcome: (not outcome.passes, outcome.value))
    by = tuple(dict.fromkeys(name for side in sides if side.outcome is gravest for name in side.by))
    rules = []
    for name in by:
        ref, _, path = name.partition(":")
        number = known.get(ref)
        for place, rule in enumerate(policies[number].rules if number is not None else ()):
            if rule.path == path:
                rules.append((known[ref], place))
    return Side(gravest.label, tuple(map(shown, by)), tuple(rules))
