"""Which entries apply at each party's own side, and whether policy is enforced there at all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from flowmine.engine.config import Enforcement
from flowmine.engine.conflict import conflict
from flowmine.engine.entries import PortTerm, Protocols
from flowmine.engine.index import ALLOW_ANY, LOCALHOST, Index, Ints, Rows
from flowmine.engine.match import Bools, LabelTable
from flowmine.engine.party import Identity, NamedPort, Party
from flowmine.policy.model import Direction

__all__ = ["NOT_ENFORCED", "SubjectClass", "Subjects", "match_subjects"]

NOT_ENFORCED = -1


@dataclass(frozen=True, slots=True)
class SubjectClass:
    """What is enforced in one direction for the parties of a class.

    `rows` are those that can decide, Cilium's own included; `closed` says that something closes the direction;
    `error` is why Cilium cannot resolve the endpoint's policy, empty where it can.
    """

    rows: tuple[int, ...]
    closed: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Subjects:
    """One direction: the class of each party (`NOT_ENFORCED`: none) and the table of rows that classes point to.

    `source` is, for each row of the table, the index's row that it came from: named ports have become numbers.
    """

    class_of_party: Ints
    classes: tuple[SubjectClass, ...]
    rows: Rows
    source: Ints


@dataclass(frozen=True, slots=True)
class _Key:
    """What tells the policies of two local parties apart."""

    label_set: int
    host: bool
    init: bool
    named_ports: tuple[NamedPort, ...]


def match_subjects(
    index: Index,
    parties: Sequence[Party],
    identities: Sequence[Identity],
    table: LabelTable,
    label_sets: Ints,
) -> dict[Direction, Subjects]:
    """Return, for each direction, what is enforced at every party."""
    keys: dict[_Key, int] = {}
    key_of_party = np.full(len(parties), NOT_ENFORCED, np.int64)
    if index.config.enforcement is not Enforcement.NEVER:
        for number, (party, each) in enumerate(zip(parties, identities, strict=True)):
            if each.local:
                key = _Key(int(label_sets[number]), each.host, each.init, party.named_ports)
                key_of_party[number] = keys.setdefault(key, len(keys))
    everywhere = _cluster_ports(party.named_ports for party in parties)
    selected = _select(index, list(keys), table)
    makers = {
        Direction.INGRESS: _Maker(index, Direction.INGRESS, selected),
        Direction.EGRESS: _Maker(index, Direction.EGRESS, selected),
    }
    for number, key in enumerate(keys):
        error = next(filter(None, (maker.error(number) for maker in makers.values())), "")
        makers[Direction.INGRESS].add(number, key, _port_numbers(key.named_ports), error)
        makers[Direction.EGRESS].add(number, key, everywhere, error)
    return {direction: maker.subjects(key_of_party) for direction, maker in makers.items()}


def _select(index: Index, keys: Sequence[_Key], table: LabelTable) -> Bools:
    """Return a matrix, a row a key and a column a subject: host policies select the host alone, others never it."""
    label_sets = np.array([key.label_set for key in keys], np.int64)
    host = np.array([key.host for key in keys], np.bool_)
    chosen = np.zeros((len(keys), len(index.subjects)), np.bool_)
    for number, subject in enumerate(index.subjects):
        chosen[:, number] = table.all_hold(subject.terms)[label_sets] & (host == subject.node)
    return chosen


_PortNumbers = dict[tuple[str, Protocols], int]


def _port_numbers(named: Iterable[NamedPort]) -> _PortNumbers:
    """Return the number behind each name and protocol; a name with two numbers has none (SEMANTICS 27)."""
    found: dict[tuple[str, Protocols], int] = {}
    for name, number, protocol in named:
        known = found.setdefault((name, protocol), number)
        if known != number:
            found[name, protocol] = 0
    return {key: number for key, number in found.items() if number}


def _cluster_ports(parties: Iterable[Iterable[NamedPort]]) -> _PortNumbers:
    return _port_numbers(each for named in parties for each in named)


class _Maker:
    """Makes the classes of one direction."""

    def __init__(self, index: Index, direction: Direction, selected: Bools) -> None:
        self._index = index
        self._direction = direction
        self._side = index.sides[direction]
        self._selected = selected
        self._enforced: Bools = np.asarray((selected & self._side.enforces).any(axis=1))
        self._closed: Bools = np.asarray((selected & self._side.default_denies).any(axis=1))
        self._named = {number for number, term in enumerate(index.terms) if term.name}
        self._numbered: dict[tuple[int, int], int] = {}
        self._classes: dict[SubjectClass, int] = {}
        self._class_of_key: list[int] = []
        self._errors: dict[bytes, str] = {}

    def _rows(self, number: int) -> Ints:
        chosen = [self._side.rows[subject] for subject in np.nonzero(self._selected[number])[0]]
        return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)

    def error(self, number: int) -> str:
        """Return why the entries that select a key cannot be resolved together, empty where they can."""
        rows = self._rows(number)
        known = rows.tobytes()
        if known not in self._errors:
            self._errors[known] = conflict(self._index, rows)
        return self._errors[known]

    def add(self, number: int, key: _Key, ports: _PortNumbers, error: str) -> None:
        """Add the class of one key; `error` is that of either direction, for an endpoint's policy fails whole."""
        always = self._index.config.enforcement is Enforcement.ALWAYS or key.init
        if not (self._enforced[number] or always or error):
            self._class_of_key.append(NOT_ENFORCED)
            return
        rows = [self._resolved(int(row), ports) for row in self._rows(number)]
        closed = bool(self._closed[number]) or always
        if not closed:
            rows.append(self._index.own_rows[ALLOW_ANY[self._direction]])
        localhost = self._index.config.allow_localhost != "policy" and not key.host
        if self._direction is Direction.INGRESS and localhost:
            rows.append(self._index.own_rows[LOCALHOST])
        made = SubjectClass(tuple(row for row in rows if row >= 0), closed, error)
        self._class_of_key.append(self._classes.setdefault(made, len(self._classes)))

    def _resolved(self, row: int, ports: _PortNumbers) -> int:
        """Return the row with its named port looked up: itself, one of the added ones, or -1 where the name is unknown."""
        if row not in self._named:
            return row
        term = self._index.terms[row]
        number = ports.get((term.name, term.protocols))
        if number is None:
            return -1
        return self._numbered.setdefault((row, number), len(self._index.rows) + len(self._numbered))

    def subjects(self, key_of_party: Ints) -> Subjects:
        """Return what was made, with the class of each party from that of its key."""
        of_key = np.array([*self._class_of_key, NOT_ENFORCED], np.int64)
        source = np.array([*range(len(self._index.rows)), *(row for row, _ in self._numbered)], np.int64)
        rows = self._index.rows
        terms = [(self._index.terms[row], number) for row, number in self._numbered]
        return Subjects(
            of_key[key_of_party],
            tuple(self._classes),
            Rows(
                rows.entry[source],
                rows.peers[source],
                np.append(rows.protocols, np.array([int(term.protocols) for term, _ in terms], np.int64)),
                np.append(rows.low, np.array([number for _, number in terms], np.int64)),
                np.append(rows.high, np.array([_end(*each) for each in terms], np.int64)),
                rows.precedence[source],
                rows.authentication[source],
            ),
            source,
        )


def _end(term: PortTerm, number: int) -> int:
    return max(number, term.end)
