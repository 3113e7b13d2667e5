"""Compile a policy set once: entries into rows of numbers, with the distinct selectors, peers and peer lists apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from flowmine.engine import knp, lowering
from flowmine.engine.addresses import Intervals
from flowmine.engine.config import Config
from flowmine.engine.entries import (
    ANY_PORT,
    Atom,
    CidrAtom,
    LabelAtom,
    LoweredEntry,
    Origin,
    PortTerm,
    Subject,
)
from flowmine.policy.model import CidrGroup, Direction, Kind, Operator, Policy
from flowmine.policy.selector import Term

__all__ = ["ALLOW_ANY", "AUTHENTICATION", "DENY", "LOCALHOST", "Index", "Ints", "Rows", "compile_index"]

T = TypeVar("T")

Ints = npt.NDArray[np.int64]

DENY = 1 << 10
"""Precedence of a deny entry: above every redirect, and those above plain allows (Cilium `mapstate.go`)."""

_BELOW_EVERY_PRIORITY = 256

AUTHENTICATION = (None, "disabled", "required", "test-always-fail")
"""Modes of `authentication` by the code in `Rows.authentication`."""

LOCALHOST = "reserved/allow-localhost-ingress"
ALLOW_ANY = {direction: f"reserved/allow-any-{direction}" for direction in Direction}
"""What Cilium names as the rule behind the allows that nobody wrote."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One row for each entry and port term, as columns of one length.

    `peers` is the number of a peer list (-1: anybody); `precedence` ranks what wins where several match.
    """

    entry: Ints
    peers: Ints
    protocols: Ints
    low: Ints
    high: Ints
    precedence: Ints
    authentication: Ints

    def __len__(self) -> int:
        return len(self.entry)


@dataclass(frozen=True, slots=True)
class Side:
    """One direction of the index, by subject: its rows, whether it has entries at all, and any that closes it."""

    rows: tuple[Ints, ...]
    enforces: npt.NDArray[np.bool_]
    default_denies: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Index:
    """A compiled policy set.

    `cidrs` tells which of the `cidr_atoms` (numbers of `atoms`) cover an address. `entries` are the written ones and, at the end, Cilium's own three; `terms` are the port terms of `rows`, row by
    row; `peer_lists` are the distinct peer lists, as numbers of `atoms`; `own_rows` the rows of Cilium's own entries.
    """

    config: Config
    entries: tuple[LoweredEntry, ...]
    subjects: tuple[Subject, ...]
    atoms: tuple[Atom, ...]
    cidrs: Intervals
    cidr_atoms: tuple[int, ...]
    peer_lists: tuple[tuple[int, ...], ...]
    terms: tuple[PortTerm, ...]
    rows: Rows
    filters: Ints
    sides: Mapping[Direction, Side]
    own_rows: Mapping[str, int]


def compile_index(policies: Iterable[Policy], groups: Iterable[CidrGroup], config: Config) -> Index:
    """Compile policies that Cilium accepts; `groups` are the CiliumCIDRGroups that they refer to."""
    by_name = {group.name: group for group in groups}
    written: list[LoweredEntry] = []
    for policy in policies:
        if policy.kind is Kind.KNP:
            written += knp.lower(policy, config)
        else:
            written += lowering.lower(policy, config, by_name)
    entries = (*written, *_own_entries())
    subjects = _numbers(entry.subject for entry in written)
    atoms: dict[Atom, int] = {}
    numbered = [
        None if each.peers is None else tuple(atoms.setdefault(atom, len(atoms)) for atom in each.peers)
        for each in entries
    ]
    cidrs = {number: atom for atom, number in atoms.items() if isinstance(atom, CidrAtom)}
    lists = _numbers(each for each in numbered if each is not None)
    of_entry = [-1 if each is None else lists[each] for each in numbered]
    terms = tuple(term for entry in entries for term in entry.ports)
    rows = _rows(entries, of_entry)
    return Index(
        config=config,
        entries=entries,
        subjects=tuple(subjects),
        atoms=tuple(atoms),
        cidrs=Intervals([atom.span for atom in cidrs.values()], [atom.excepts for atom in cidrs.values()]),
        cidr_atoms=tuple(cidrs),
        peer_lists=tuple(lists),
        terms=terms,
        rows=rows,
        filters=_filters(entries, len(written)),
        sides={direction: _side(direction, written, subjects, rows) for direction in Direction},
        own_rows={
            entries[entry].origin.policy: row for row, entry in enumerate(rows.entry) if entry >= len(written)
        },
    )


def _numbers(items: Iterable[T]) -> dict[T, int]:
    """Number the distinct items in order of appearance."""
    found: dict[T, int] = {}
    for item in items:
        found.setdefault(item, len(found))
    return found


def _own_entries() -> tuple[LoweredEntry, ...]:
    """Return what Cilium allows by itself: everything where nothing closes a direction, and the local host's ingress."""
    nobody = Subject((Term("reserved", "none", Operator.EXISTS),))
    host = LabelAtom((Term("reserved", "host", Operator.EXISTS),))
    made = [(ALLOW_ANY[each], each, None) for each in Direction] + [(LOCALHOST, Direction.INGRESS, (host,))]
    return tuple(
        LoweredEntry(Origin(name, ""), direction, False, nobody, peers, ANY_PORT, False)
        for name, direction, peers in made
    )


def _rows(entries: Sequence[LoweredEntry], peer_list: Sequence[int]) -> Rows:
    made = [
        (
            number,
            peer_list[number],
            int(term.protocols) if not term.name else 0,
            term.low,
            term.high,
            _precedence(entry, term),
            0 if entry.denies else AUTHENTICATION.index(entry.authentication),
        )
        for number, entry in enumerate(entries)
        for term in entry.ports
    ]
    return Rows(*np.array(made, np.int64).reshape(-1, 7).T.copy())


def _filters(entries: Sequence[LoweredEntry], written: int) -> Ints:
    """Number the rows' filters: port and protocol as written, by which Cilium merges entries; its own stand apart."""
    keys = [
        (term.protocols, term.low, term.high, term.name, term.end, max(0, number - written + 1))
        for number, entry in enumerate(entries)
        for term in entry.ports
    ]
    numbers = _numbers(keys)
    return np.array([numbers[key] for key in keys], np.int64)


def _precedence(entry: LoweredEntry, term: PortTerm) -> int:
    if entry.denies:
        return DENY
    return _BELOW_EVERY_PRIORITY - term.redirect.priority if term.redirect else 0


def _side(
    direction: Direction, entries: Sequence[LoweredEntry], subjects: Mapping[Subject, int], rows: Rows
) -> Side:
    enforces, denies = (np.zeros(len(subjects), np.bool_) for _ in range(2))
    for entry in entries:
        if entry.direction is direction:
            enforces[subjects[entry.subject]] = True
            denies[subjects[entry.subject]] |= entry.default_deny
    mine = [subjects[entry.subject] if entry.direction is direction else -1 for entry in entries]
    mine += [-1] * (int(rows.entry[-1]) + 1 - len(entries))
    subject_of = np.array(mine, np.int64)[rows.entry]
    order = np.argsort(subject_of, kind="stable")
    cuts = np.searchsorted(subject_of[order], np.arange(len(subjects) + 1))
    return Side(tuple(order[start:stop] for start, stop in pairwise(cuts)), enforces, denies)
