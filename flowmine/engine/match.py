"""Match a compiled policy set against the parties of a table: each distinct label set, address and name once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmine.engine.addresses import Span
from flowmine.engine.columns import distinct
from flowmine.engine.entries import FqdnAtom, LabelAtom
from flowmine.engine.index import Index, Ints
from flowmine.engine.l7 import canonical_name, learned
from flowmine.engine.lists import Lists
from flowmine.engine.party import Identity
from flowmine.labels import Label
from flowmine.policy.portrule import FqdnSelector
from flowmine.policy.selector import ANY_SOURCE, Operator, Term

__all__ = ["Bools", "LabelTable", "Peers", "match_peers"]

Bools = npt.NDArray[np.bool_]
Bits = npt.NDArray[np.uint8]

_Key = tuple[str, str]
"""A label's source and key."""


class LabelTable:
    """Many label sets at once: a term or a conjunction of terms answers with one boolean, or one bit, for each set."""

    def __init__(self, label_sets: Sequence[tuple[Label, ...]]) -> None:
        """Take distinct label sets, each sorted."""
        self._label_sets = label_sets
        self.size = len(label_sets)
        """How many label sets there are."""
        self._columns: dict[_Key, dict[str, list[int]]] = {}
        self._having: dict[tuple[_Key, str], Bits] = {}
        self._known: dict[Term, Bits] = {}
        last: dict[_Key, int] = {}
        for number, labels in enumerate(label_sets):
            for label in labels:
                for key in ((label.source, label.key), (ANY_SOURCE, label.key)):
                    if last.get(key) != number:
                        last[key] = number
                        self._columns.setdefault(key, {}).setdefault(label.value, []).append(number)

    def all_hold(self, terms: Iterable[Term]) -> Bools:
        """Return for each label set whether all terms hold."""
        holds = np.full(-(-self.size // 8), 255, np.uint8)
        for term in terms:
            holds &= self._holds(term)
        return np.unpackbits(holds, count=self.size).view(np.bool_)

    def every(self, conjunctions: Sequence[Sequence[Term]]) -> Bits:
        """Return a table of bits, a row a conjunction and a column a label set: do all its terms hold."""
        places: dict[Term, int] = {}
        numbers = [[places.setdefault(term, len(places)) for term in terms] for terms in conjunctions]
        width = -(-self.size // 8)
        holds = np.full((len(places) + 1, width), 255, np.uint8)  # what fills a short row up is the last
        for term, place in places.items():
            holds[place] = self._holds(term)
        found = np.full((len(numbers), width), 255, np.uint8)
        for nth in range(max(map(len, numbers), default=0)):
            found &= holds[[each[nth] if nth < len(each) else -1 for each in numbers]]
        return found

    def _holds(self, term: Term) -> Bits:
        """Return for each label set whether one term holds; see `Term` for the table of operators."""
        known = self._known.get(term)
        if known is None:
            known = self._known[term] = self._evaluate(term)
        return known

    def _evaluate(self, term: Term) -> Bits:
        if term.source == "cidr":  # looks at prefixes by containment, not by key
            return np.packbits(np.array([term.matches(labels) for labels in self._label_sets], np.bool_))
        key = term.source, term.key
        column = self._columns.get(key, {})
        if term.operator in (Operator.EXISTS, Operator.DOES_NOT_EXIST):
            found = self._at([row for rows in column.values() for row in rows])
        else:
            having = [self._of(key, value) for value in term.values if value in column]
            found = np.bitwise_or.reduce(having) if having else self._at([])
        return ~found if term.operator in (Operator.NOT_IN, Operator.DOES_NOT_EXIST) else found

    def _of(self, key: _Key, value: str) -> Bits:
        known = self._having.get((key, value))
        if known is None:
            known = self._having[key, value] = self._at(self._columns[key][value])
        return known

    def _at(self, rows: list[int]) -> Bits:
        holds = np.zeros(self.size, np.bool_)
        holds[rows] = True
        return np.packbits(holds)


@dataclass(frozen=True, slots=True)
class _Outside:
    """The atoms of one kind that hold parties outside: `held` lists them by pattern, `pattern` is by class of parties.

    `listed` has, sorted, atom and peer list packed of each atom in each list; `lists` is how many there are.
    """

    pattern: Ints
    held: Lists
    listed: Ints
    lists: int

    def hold(self, peers: Ints, classes: Ints) -> Bools:
        """Tell of each pair of peer list and class whether an atom of the list holds the class."""
        found = np.zeros(len(peers), np.bool_)
        pattern = self.pattern[classes]
        asked = np.flatnonzero((self.held.size[pattern] > 0) & (peers >= 0))
        if len(self.listed) and len(asked):
            of = peers[asked]
            held, _ = self.held.select(pattern[asked], lambda place, atom: self._are_listed(atom, of[place]))
            found[asked[held]] = True
        return found

    def _are_listed(self, atoms: Ints, peers: Ints) -> Bools:
        wanted = atoms * self.lists + peers
        places = np.searchsorted(self.listed, wanted)
        found: Bools = self.listed[np.minimum(places, len(self.listed) - 1)] == wanted
        return found

    def selects(self, atom: int, of_class: int) -> bool:
        """Tell whether an atom holds a class."""
        pattern = self.pattern[of_class]
        start = self.held.start[pattern]
        return atom in self.held.flat[start : start + self.held.size[pattern]]


@dataclass(frozen=True, slots=True)
class Peers:
    """Which peer lists, and which atoms, hold which parties: those that no list can tell apart are one class.

    By labels it is a table of bits, a row a list (the last one, -1, is anybody) or atom and a column a label set. Of
    addresses and names there may be very many, and few atoms hold each.
    """

    class_of_party: Ints
    label_set: Ints
    by_label: Bits
    atom_row: Mapping[int, int]
    by_atom: Bits
    outside: tuple[_Outside, ...]

    def hold(self, peers: Ints, classes: Ints) -> Bools:
        """Tell of each pair of peer list and class whether the list holds the class."""
        found: Bools = _bits(self.by_label, peers, self.label_set[classes])
        for each in self.outside:
            found |= each.hold(peers, classes)
        return found

    def selects(self, atom: int, of_class: int) -> bool:
        """Tell whether an atom holds a class."""
        row = self.atom_row.get(atom)
        if row is not None:
            return bool(_bits(self.by_atom, row, int(self.label_set[of_class])))
        return any(each.selects(atom, of_class) for each in self.outside)


def match_peers(index: Index, identities: Sequence[Identity], table: LabelTable, label_sets: Ints) -> Peers:
    """Match every peer list against every identity; `label_sets` are the identities' rows in `table`."""
    place_of, covering = _places(index, [each.span for each in identities])
    names_of, naming = _name_sets(index, [each.names for each in identities])
    first, class_of_party = distinct(label_sets, place_of, names_of)
    labels = {number: atom.terms for number, atom in enumerate(index.atoms) if isinstance(atom, LabelAtom)}
    atom_row = {number: row for row, number in enumerate(labels)}
    by_atom = table.every(list(labels.values()))
    count = len(index.peer_lists)
    by_label = np.zeros((count + 1, by_atom.shape[1]), np.uint8)
    by_label[-1] = 255
    for number, members in enumerate(index.peer_lists):
        some = [atom_row[member] for member in members if member in atom_row]
        if some:
            by_label[number] = np.bitwise_or.reduce(by_atom[some])
    listed = [
        atom * count + number
        for number, members in enumerate(index.peer_lists)
        for atom in members
        if atom not in atom_row
    ]
    outside = (
        _Outside(of_party[first], Lists.of(held), np.sort(np.array(listed, np.int64)), count)
        for of_party, held in ((place_of, covering), (names_of, naming))
    )
    return Peers(class_of_party, label_sets[first], by_label, atom_row, by_atom, tuple(outside))


def _bits(table: Bits, row: Ints | int, column: Ints | int) -> Any:
    """Return bits of a packed table as booleans."""
    return (table[row, column >> 3] << (column & 7) & 128) > 0


_Atoms = tuple[int, ...]


def _places(index: Index, spans: Sequence[Span | None]) -> tuple[Ints, list[_Atoms]]:
    """Return each span's pattern, and for each pattern the CIDR atoms that cover it whole."""
    ends: dict[tuple[int, int] | None, int] = {None: 0}
    place = index.cidrs.place
    at = [
        ends.setdefault(None if span is None else (place(span[0]), place(span[1])), len(ends))
        for span in spans
    ]
    covering = index.cidrs.covering({number for each in ends if each for number in each})
    found = [
        tuple(index.cidr_atoms[number] for number in _both(covering, each)) if each else () for each in ends
    ]
    return _patterns(found, at)


def _both(covering: Mapping[int, _Atoms], ends: tuple[int, int]) -> _Atoms:
    """Return the prefixes that cover both ends of a span."""
    first, last = (covering[end] for end in ends)
    return first if ends[0] == ends[1] else tuple(sorted({*first} & {*last}))


def _name_sets(index: Index, name_sets: Sequence[tuple[str, ...]]) -> tuple[Ints, list[_Atoms]]:
    """Return each set's pattern, and for each pattern the FQDN atoms that name one of its names.

    Exact names are looked up, only patterns are tried on every name.
    """
    sets: dict[tuple[str, ...], int] = {}
    at = [sets.setdefault(each, len(sets)) for each in name_sets]
    sets_of: dict[str, list[int]] = {}
    for names, number in sets.items():
        for name in names:
            sets_of.setdefault(name, []).append(number)
    found: list[list[int]] = [[] for _ in sets]
    for atom, fqdn in enumerate(index.atoms):
        if isinstance(fqdn, FqdnAtom):
            for number in _named(fqdn.selector, sets_of):
                found[number].append(atom)
    return _patterns([tuple(atoms) for atoms in found], at)


def _named(selector: FqdnSelector, sets_of: Mapping[str, Sequence[int]]) -> set[int]:
    """Return the sets of names in which a selector knows one."""
    named = set(sets_of.get(canonical_name(selector.match_name), ())) if selector.match_name else set()
    if selector.match_pattern:
        named.update(*(numbers for name, numbers in sets_of.items() if learned(selector, name)))
    return named


def _patterns(found: Iterable[_Atoms], at: Sequence[int]) -> tuple[Ints, list[_Atoms]]:
    """Merge what is equal: return the number of each of `at` among the distinct ones, and these."""
    known: dict[_Atoms, int] = {}
    numbers = np.array([known.setdefault(atoms, len(known)) for atoms in found], np.int64)
    return numbers[np.array(at, np.int64)], list(known)
