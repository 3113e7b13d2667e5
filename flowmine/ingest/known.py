"""Stretches of lines met so far in a reading, each decoded once, and the columns that they make.

A capture's lines are put together of few different stretches (`stretches`), and nearly all of those of a block were met
in blocks before. What is made of a stretch is therefore kept: a block costs what is new in it, and looking up the rest.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flowmine.ingest.names import Codes
from flowmine.ingest.rows import Tools
from flowmine.ingest.shapes import Decoders
from flowmine.ingest.stretches import Numbers, Texts
from flowmine.ingest.structrows import StructRows

__all__ = ["Known"]

_Values = TypeVar("_Values", npt.NDArray[Any], pa.Array, list[Any])

_OUTER = b'},"node_name":"'
_PASSED_OVER = (b'"proxy_port":', b'"latency_ns":"')
"""Keys whose numbers differ from line to line, and which no column is made of."""
_FIRST_DIGITS = (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9")
_MOST = 1 << 13
"""Stretches of one kind that are kept, and those of one block more."""
_UNMET = -1


class Known:
    """The stretches of one kind, each an object ``{STRETCH}`` of its own, numbered as they were met."""

    def __init__(self, tools: Tools, *, ends_line: bool) -> None:
        """Know none; ``ends_line`` where they are the ends of their lines and not only members of flows."""
        self._tools = tools._replace(codes={name: Codes(name, _not_told) for name in tools.codes})
        self._ends_line = ends_line
        self.generation = tools.endpoints.generation
        """That of the endpoints whose numbers are kept here."""
        self._forget()

    def _forget(self) -> None:
        self._texts: Texts | None = None
        self._numbers = np.zeros(0, np.int32)
        self._places: dict[bytes, int] = {}
        self._flows: list[Any] = []
        self._runs: dict[bytes, int] = {}
        self._new: tuple[int, StructRows] | None = None
        self._columns: dict[str, tuple[int, Any]] = {}
        self._numbered: dict[str, dict[Hashable, int]] = {}
        self.fields: set[str] = set()
        """Fields that any of them has."""

    @property
    def is_crowded(self) -> bool:
        """Whether they are too many."""
        return len(self._places) > _MOST

    def codes(self, found: Numbers, texts: Texts, decoders: Decoders) -> Numbers:
        """Return the number here of the stretch that each line has, by its number among ``texts``.

        Raise ValueError or the like where one is no run of whole members: then none of these is kept. What was kept is
        forgotten where it gets too much, and numbers given before no longer hold, unless endpoints are `held`.
        """
        if self.is_crowded and not self._tools.endpoints.held:
            self._forget()
        if self._texts is not texts:
            self._texts, self._numbers = texts, np.zeros(0, np.int32)
        if len(texts) > len(self._numbers):
            more = np.full(len(texts) - len(self._numbers), _UNMET, np.int32)
            self._numbers = np.concatenate([self._numbers, more])
        codes = self._numbers[found]
        unmet = found[codes == _UNMET]
        if len(unmet):
            is_new = np.zeros(len(texts), bool)
            is_new[unmet] = True
            new = np.flatnonzero(is_new)
            self._numbers[new] = self._met(texts.some(new), decoders)
            codes = self._numbers[found]
        return codes

    def _met(self, texts: list[bytes], decoders: Decoders) -> list[int]:
        """Return the numbers of stretches, learnt where they are not known."""
        new = [text for text in texts if text not in self._places]
        if new:
            self._learn(new, decoders)
        return list(map(self._places.__getitem__, texts))

    def _learn(self, new: list[bytes], decoders: Decoders) -> None:
        runs = [_members(text) for text in new] if self._ends_line else new
        unmet = list(dict.fromkeys(run for run in runs if run not in self._runs))
        if unmet:
            flows = _decoded(unmet, decoders)
            start = len(self._flows)
            rows = StructRows(flows, self._tools)
            self.fields.update(rows.present())
            self._flows += flows
            self._runs.update(zip(unmet, range(start, start + len(unmet)), strict=True))
            self._new = start, rows
        self._places.update(zip(new, map(self._runs.__getitem__, runs), strict=True))

    def column(self, name: str, make: Callable[[StructRows], _Values]) -> _Values:
        """Return what ``make`` makes of all of them, a value each, kept by its ``name``."""
        done, kept = self._columns.get(name, (0, None))
        if done == len(self._flows) and kept is not None:
            values: _Values = kept
            return values
        if self._new is None or self._new[0] != done:
            self._new = done, StructRows(self._flows[done:], self._tools)
        made = make(self._new[1])
        values = made if kept is None else _joined(kept, made)
        self._columns[name] = len(self._flows), values
        return values

    @property
    def but_ends(self) -> npt.NDArray[np.int64]:
        """Numbers of them, the same where they differ in endpoints and their addresses alone."""
        return self.numbers("but ends", StructRows.but_ends)

    def numbers(self, name: str, values: Callable[[StructRows], Iterable[Hashable]]) -> npt.NDArray[np.int64]:
        """Return a number from 0 on for each of them, the same where ``values`` are, kept by its ``name``."""
        met = self._numbered.setdefault(name, {})

        def made(rows: StructRows) -> npt.NDArray[np.int64]:
            return np.array([met.setdefault(value, len(met)) for value in values(rows)], np.int64)

        found: npt.NDArray[np.int64] = self.column(f"{name} numbered", made)
        return found


def _not_told(_: str) -> None:
    """Tell nothing of an unknown value: that is for each line which has it."""


def _joined(one: _Values, other: _Values) -> _Values:
    if isinstance(one, np.ndarray):
        return np.concatenate([one, other])
    if isinstance(one, list):
        return one + list(other)
    return pa.concat_arrays([one, other])


def _decoded(runs: list[bytes], decoders: Decoders) -> list[Any]:
    """Return the members of a flow that each run holds; raise ValueError or the like where one is no such run."""
    text = b"{" + b"}\n{".join(runs) + b"}"
    flows: list[Any] = decoders.members.decode_lines(text)
    if len(flows) != len(runs) or len(text.split(b"\n")) != len(runs):
        raise ValueError("stretches that are no runs of members")
    return flows


def _members(tail: bytes) -> bytes:
    """Return the members of the flow that the end of a line holds, numbers that no column has overwritten.

    Raise ValueError where it ends in an unusual way.
    """
    members, found, node = tail.rpartition(_OUTER)
    if not found or node.find(b'"') != len(node) - 1 or b"\\" in node:
        raise ValueError("a line that ends in an unusual way")
    for key in _PASSED_OVER:
        before, found, after = members.partition(key)
        if found and after[:1] in _FIRST_DIGITS:
            members = before + found + b"1" + after.lstrip(b"0123456789")
    return members
