"""Match a compiled policy set against the parties of a table: each distinct label set, address and name once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowmine.engine.addresses import Intervals, Span
from flowmine.engine.entries import Atom, CidrAtom, LabelAtom
from flowmine.engine.index import Index, Ints
from flowmine.engine.l7 import canonical_name, learned
from flowmine.engine.party import Identity
from flowmine.labels import Label
from flowmine.policy.model import FqdnSelector
from flowmine.policy.selector import ANY_SOURCE, Operator, Term

__all__ = ["Bools", "LabelTable", "Peers", "match_peers"]

Bools = npt.NDArray[np.bool_]


class LabelTable:
    """Many label sets at once: a term or a conjunction of terms answers with one boolean for each set."""

    def __init__(self, label_sets: Sequence[tuple[Label, ...]]) -> None:
        """Take distinct label sets, each sorted."""
        self._label_sets = label_sets
        self._size = len(label_sets)
        self._values: dict[str, int] = {}
        self._columns: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
        self._known: dict[Term, Bools] = {}
        for number, labels in enumerate(label_sets):
            for label in labels:
                value = self._values.setdefault(label.value, len(self._values))
                for source in (label.source, ANY_SOURCE):
                    rows, values = self._columns.setdefault((source, label.key), ([], []))
                    if not rows or rows[-1] != number:
                        rows.append(number)
                        values.append(value)

    def all_hold(self, terms: Iterable[Term]) -> Bools:
        """Return for each label set whether all terms hold."""
        holds = np.ones(self._size, np.bool_)
        for term in terms:
            holds &= self.holds(term)
        return holds

    def holds(self, term: Term) -> Bools:
        """Return for each label set whether one term holds; see `Term` for the table of operators."""
        known = self._known.get(term)
        if known is None:
            known = self._known[term] = self._evaluate(term)
        return known

    def _evaluate(self, term: Term) -> Bools:
        if term.source == "cidr":  # looks at prefixes by containment, not by key
            return np.array([term.matches(labels) for labels in self._label_sets], np.bool_)
        rows, values = self._columns.get((term.source, term.key), ([], []))
        absent_holds = term.operator in (Operator.NOT_IN, Operator.DOES_NOT_EXIST)
        holds = np.full(self._size, absent_holds)
        if term.operator in (Operator.EXISTS, Operator.DOES_NOT_EXIST):
            holds[rows] = not absent_holds
        else:
            wanted = {self._values[value] for value in term.values if value in self._values}
            hits = np.fromiter((value in wanted for value in values), np.bool_, len(values))
            holds[rows] = hits ^ absent_holds
        return holds


@dataclass(frozen=True, slots=True)
class Peers:
    """Which peer lists, and which atoms, hold which parties: `holds[list, class_of_party[party]]`.

    Parties that no list can tell apart are one class, so that the matrix stays small however many addresses there are.
    """

    class_of_party: Ints
    by_atom: Bools
    holds: Bools


def match_peers(index: Index, identities: Sequence[Identity], table: LabelTable, label_sets: Ints) -> Peers:
    """Match every peer list against every identity; `label_sets` are the identities' rows in `table`."""
    places: dict[tuple[int, int], int] = {}
    known_names: dict[tuple[str, ...], int] = {}
    keys = [
        (
            int(label_set),
            -1 if each.span is None else places.setdefault(_place(index.cidrs, each.span), len(places)),
            known_names.setdefault(each.names, len(known_names)),
        )
        for label_set, each in zip(label_sets, identities, strict=True)
    ]
    classes: dict[tuple[int, int, int], int] = {}
    class_of_party = np.array([classes.setdefault(key, len(classes)) for key in keys], np.int64)
    label_set, place, name_set = np.array(list(classes), np.int64).reshape(-1, 3).T
    held = _Atoms(index, table, list(places), list(known_names))
    by_atom = np.zeros((len(index.atoms), len(classes)), np.bool_)
    for number, atom in enumerate(index.atoms):
        by_atom[number] = held.of(number, atom, label_set, place, name_set)
    holds = np.zeros((len(index.peer_lists), len(classes)), np.bool_)
    for number, members in enumerate(index.peer_lists):
        if members:
            holds[number] = by_atom[list(members)].any(axis=0)
    return Peers(class_of_party, by_atom, holds)


def _place(cidrs: Intervals, span: Span) -> tuple[int, int]:
    return cidrs.place(span[0]), cidrs.place(span[1])


class _Atoms:
    """Answers, for each kind of atom, which classes it holds."""

    def __init__(
        self,
        index: Index,
        table: LabelTable,
        places: Sequence[tuple[int, int]],
        name_sets: Sequence[tuple[str, ...]],
    ) -> None:
        self._table = table
        self._name_sets = len(name_sets)
        self._sets_of: dict[str, list[int]] = {}
        for number, some in enumerate(name_sets):
            for name in some:
                self._sets_of.setdefault(name, []).append(number)
        first = index.cidrs.covering(first for first, _ in places)
        last = index.cidrs.covering(last for _, last in places)
        self._covers = np.vstack([first & last, np.zeros((1, first.shape[1]), np.bool_)])
        self._cidr_of = {atom: place for place, atom in enumerate(index.cidr_atoms)}

    def of(self, number: int, atom: Atom, label_set: Ints, place: Ints, name_set: Ints) -> Bools:
        if isinstance(atom, LabelAtom):
            return self._table.all_hold(atom.terms)[label_set]
        if isinstance(atom, CidrAtom):
            covered: Bools = self._covers[place, self._cidr_of[number]]
            return covered
        return self._named(atom.selector)[name_set]

    def _named(self, selector: FqdnSelector) -> Bools:
        """Return for each set of names whether the item names one of them; exact names are looked up."""
        held = np.zeros(self._name_sets, np.bool_)
        if selector.match_name:
            held[self._sets_of.get(canonical_name(selector.match_name), [])] = True
        if selector.match_pattern:
            for name, sets in self._sets_of.items():
                if learned(selector, name):
                    held[sets] = True
        return held
