"""Match a compiled policy set against the parties of a table: each distinct label set, address and name once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowmine.engine.addresses import Span
from flowmine.engine.entries import CidrAtom, FqdnAtom, LabelAtom
from flowmine.engine.index import Index, Ints
from flowmine.engine.l7 import canonical_name, learned
from flowmine.engine.party import Identity
from flowmine.labels import Label
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
        columns: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
        self._known: dict[Term, Bools] = {}
        for number, labels in enumerate(label_sets):
            for label in labels:
                value = self._values.setdefault(label.value, len(self._values))
                for source in (label.source, ANY_SOURCE):
                    rows, values = columns.setdefault((source, label.key), ([], []))
                    if not rows or rows[-1] != number:
                        rows.append(number)
                        values.append(value)
        self._columns = {
            key: (np.array(rows, np.int64), np.array(values, np.int64))
            for key, (rows, values) in columns.items()
        }
        nothing = np.zeros(0, np.int64)
        self._nothing = nothing, nothing

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
        rows, values = self._columns.get((term.source, term.key), self._nothing)
        absent_holds = term.operator in (Operator.NOT_IN, Operator.DOES_NOT_EXIST)
        holds = np.full(self._size, absent_holds)
        if term.operator in (Operator.EXISTS, Operator.DOES_NOT_EXIST):
            holds[rows] = not absent_holds
        else:
            wanted = np.zeros(len(self._values), np.bool_)
            wanted[[self._values[value] for value in term.values if value in self._values]] = True
            holds[rows] = wanted[values] ^ absent_holds
        return holds


@dataclass(frozen=True, slots=True)
class Peers:
    """Which peer lists, and which atoms, hold which parties: `holds[list, class_of_party[party]]`.

    Parties that no list can tell apart are one class, so that the matrix stays small however many addresses and names
    there are.
    """

    class_of_party: Ints
    by_atom: Bools
    holds: Bools


def match_peers(index: Index, identities: Sequence[Identity], table: LabelTable, label_sets: Ints) -> Peers:
    """Match every peer list against every identity; `label_sets` are the identities' rows in `table`."""
    place_of, covered = _places(index, [each.span for each in identities])
    names_of, named = _name_sets(index, [each.names for each in identities])
    keys = np.stack([label_sets, place_of, names_of])
    (label_set, place, names), class_of_party = np.unique(keys, axis=1, return_inverse=True)
    columns = {atom: column for column, atom in enumerate(index.cidr_atoms)}
    by_atom = np.zeros((len(index.atoms), len(label_set)), np.bool_)
    fqdns = 0
    for number, atom in enumerate(index.atoms):
        if isinstance(atom, LabelAtom):
            by_atom[number] = table.all_hold(atom.terms)[label_set]
        elif isinstance(atom, CidrAtom):
            by_atom[number] = covered[place, columns[number]]
        else:
            by_atom[number] = named[names, fqdns]
            fqdns += 1
    holds = np.zeros((len(index.peer_lists), len(label_set)), np.bool_)
    for number, members in enumerate(index.peer_lists):
        if members:
            holds[number] = by_atom[list(members)].any(axis=0)
    return Peers(class_of_party.reshape(-1), by_atom, holds)


def _places(index: Index, spans: Sequence[Span | None]) -> tuple[Ints, Bools]:
    """Return each span's pattern, and for each pattern which of the index's CIDR atoms cover it whole."""
    ends: dict[tuple[int, int] | None, int] = {None: 0}
    place = index.cidrs.place
    at = [
        ends.setdefault(None if span is None else (place(span[0]), place(span[1])), len(ends))
        for span in spans
    ]
    known = [each for each in ends if each is not None]
    covered = index.cidrs.covering(first for first, _ in known)
    covered &= index.cidrs.covering(last for _, last in known)
    return _patterns(np.vstack([np.zeros((1, covered.shape[1]), np.bool_), covered]), at)


def _name_sets(index: Index, name_sets: Sequence[tuple[str, ...]]) -> tuple[Ints, Bools]:
    """Return each set's pattern, and for each pattern which of the index's FQDN atoms, in order, name one of its names.

    Exact names are looked up, only patterns are tried on every name.
    """
    sets: dict[tuple[str, ...], int] = {}
    at = [sets.setdefault(each, len(sets)) for each in name_sets]
    sets_of: dict[str, list[int]] = {}
    for names, number in sets.items():
        for name in names:
            sets_of.setdefault(name, []).append(number)
    selectors = [atom.selector for atom in index.atoms if isinstance(atom, FqdnAtom)]
    named = np.zeros((len(sets), len(selectors)), np.bool_)
    for column, selector in enumerate(selectors):
        if selector.match_name:
            named[sets_of.get(canonical_name(selector.match_name), []), column] = True
        if selector.match_pattern:
            for name, numbers in sets_of.items():
                if learned(selector, name):
                    named[numbers, column] = True
    return _patterns(named, at)


def _patterns(rows: Bools, at: Sequence[int]) -> tuple[Ints, Bools]:
    """Merge equal rows: return the new row of each of `at`, and the distinct rows."""
    packed = np.packbits(rows, axis=1)
    seen: dict[bytes, int] = {}
    number_of = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in packed], np.int64)
    first = np.unique(number_of, return_index=True)[1]
    return number_of[np.array(at, np.int64)], rows[first]
