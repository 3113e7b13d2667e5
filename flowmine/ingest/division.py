"""One reading done by several readers at once, with the answer of one: portions, in order, and what each tells.

A reader decodes portions apart from all others. What depends on their order is decided for all of them in one place:
which flows repeat others, the numbers of lines, the ledger.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flowmine.errors import InputError
from flowmine.ingest.ahead import ahead
from flowmine.ingest.blocks import Block, Unreadable
from flowmine.ingest.capturefold import Summed
from flowmine.ingest.capturegroups import Group, Groups
from flowmine.ingest.captureread import Kept, Stored
from flowmine.ingest.captureshelf import Shelf
from flowmine.ingest.columns import Builder
from flowmine.ingest.dedup import SeenIds
from flowmine.ingest.files import Input
from flowmine.ingest.folding import Fold, Folds, Lot, Telling
from flowmine.ingest.fresh import passed_on, repeatable_keys
from flowmine.ingest.intern import Endpoints, Known
from flowmine.ingest.jsonl import Lines, tell_cut, tell_nothing
from flowmine.ingest.lockstep import FEW, Piece, Want, in_step
from flowmine.ingest.ranges import Range, blocks_of
from flowmine.ingest.shapes import decoders, fields_of
from flowmine.ingest.slots import OwnSlots, Slot, Slots, blocks_in
from flowmine.ingest.stretchrows import StretchRows
from flowmine.ingest.waiting import Unfolded, Waiting
from flowmine.ingest.whichcode import Compiled, Cut, cutter, seen_ids
from flowmine.ingest.zipped import Zipped, blocks_of_input
from flowmine.ledger import Ledger
from flowmine.schema import FLOWS

__all__ = [
    "Division",
    "Folds",
    "Keys",
    "Known",
    "New",
    "Portion",
    "Reader",
    "Settings",
    "Share",
    "Undividable",
    "Whole",
]

_BLOCK = 8 << 20
_INFLATED = 2
"""Pieces of many compressed inputs that are inflated before they are asked for."""
_PLACES = 40
"""Bits of the place of a line in its block."""

Keys: TypeAlias = npt.NDArray[np.uint64] | None
"""A key for the uuid of each flow; None where none has a uuid."""
New: TypeAlias = npt.NDArray[np.bool_] | None
"""Which flows were not read before; None for all."""


class Whole(NamedTuple):
    """What a reader knows at its end: endpoints, the fields that flows had (`masks.Presence.seen`), and what is to be told
    of flows that waited.
    """

    known: Known
    seen: tuple[int, list[str], set[str]]
    ledger: Ledger


class Undividable(Exception):
    """A record goes on from one portion to the next: the inputs must be read by one reader."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How readers read: see `source.open_flows`; ``compiled`` is whether by compiled code, where it can be had;
    ``logged`` is whether to keep what is to be logged for who joins.
    """

    columns: frozenset[str]
    dedup: bool = True
    strict: bool = False
    keep_query: bool = False
    compiled: Compiled = "no"
    logged: bool = field(
        default_factory=lambda: logging.getLogger("flowmine.ledger").isEnabledFor(logging.INFO)
    )

    @property
    def extra(self) -> frozenset[str]:
        """Columns needed besides those asked for."""
        return frozenset({"time", "node_name", *(["uuid"] if self.dedup else [])})


@dataclass(frozen=True, slots=True)
class Portion:
    """A piece of an input, by its place among the inputs; ``content`` None is the input's end."""

    number: int
    place: int
    name: str
    content: Piece | None

    @property
    def is_elsewhere(self) -> bool:
        """Whether any `Reader` may read it; others are for the `Division` itself."""
        return isinstance(self.content, Range | Slot | Zipped | Block | Unreadable | Group)

    @property
    def size(self) -> int:
        """How many bytes of lines it has, of a file or slot; 0 where that is not known."""
        if isinstance(self.content, Range):
            return self.content.end - self.content.start
        return self.content.length if isinstance(self.content, Slot) else 0


@dataclass(slots=True)
class Share:
    """What a portion told beside its flows; lines are numbered from the portion's own first line, if it is a range or slot.

    ``cut`` is why a whole file ended too early, if it did.
    """

    ledger: Ledger
    events: int = 0
    failure: str = ""
    lines: int = 0
    waits: bool = False
    cut: str = ""


class Reader:
    """Reads portions, in any order, until it is asked for what it knows at the end."""

    def __init__(self, settings: Settings, telling: Telling, slots: Slots | None = None) -> None:
        """Read as the settings say; ``telling`` says which flows are alike (`folding`), ``slots`` have what is in slots."""
        self._settings, self._telling, self._slots, self._own = settings, telling, slots, OwnSlots()
        self._endpoints = Endpoints()
        columns = settings.columns | settings.extra
        self._builder = Builder(columns, self._endpoints, Ledger(), keep_query=settings.keep_query)
        self._typed = decoders(fields_of(columns))
        self._schema = pa.schema([field for field in FLOWS if field.name in settings.columns])
        self._open = threading.local()
        """The ``groups`` of a window that each thread reads: they stay open for the next of them."""
        self._waiting = Waiting(self._builder, telling)
        self._unpassed: list[Folds] = []
        """What was read and not passed on."""
        self._ready: list[Fold | Summed] = []

    @cached_property
    def _cut(self) -> Cut:
        """What cuts lines; compiled code for it is loaded where there are any."""
        return cutter(self._settings.compiled)

    def begun(self, portion: Portion) -> Folds | None:
        """Return what can be read before the portion's turn, in another thread: the events of a row group. Raises as `read`."""
        group = portion.content
        if not isinstance(group, Group):
            return None
        groups: Groups | None = getattr(self._open, "groups", None)
        if groups is None or groups.window != group.window:
            groups = self._open.groups = Groups(group.window, group.columns)
        return groups.folds(group)

    def read(self, portion: Portion, folds: Folds | None = None) -> tuple[Share, Folds | None]:
        """Return what a portion tells, and its flows, if there are any. Raises as `source.Source.batches`.

        ``folds`` are what it was `begun` with, if it was.
        """
        share = Share(Ledger(held=[] if self._settings.logged else None))
        folds = folds or self.begun(portion)
        if folds is not None:
            return share, folds if folds.lots else None
        self._builder.ledger = share.ledger
        self._make_room()
        lines = Lines(portion.name, self._typed, share.ledger, strict=self._settings.strict, cut=self._cut)
        lots: list[Lot] = []
        numbers = count()
        for block in self._blocks(portion.content, share):
            number = next(numbers)  # `enumerate` would hold each block while the next is read
            for rows, at in lines.rows(block, self._builder.tools):
                places = at + (number << _PLACES)
                if isinstance(rows, StretchRows) and not rows.time.null_count:
                    lots.append(Unfolded(rows, places))
                    self._endpoints.held = True
                else:
                    lots.append(self._builder.fold(rows, places, self._telling))
            share.lines = block.first - 1 + block.ends if isinstance(block, Block) else block.line
            del block
        share.events, share.failure, share.waits = lines.events, lines.failure, lines.waits
        folds = Folds(lots) if lots else None
        if folds is not None:
            self._unpassed.append(folds)
        return share, folds

    def _make_room(self) -> None:
        """Tell once whatever waits, if too much is held for it."""
        every = [self._endpoints, *self._builder.tools.known.values()]
        if any(one.is_crowded for one in every):
            for folds in self._unpassed:
                self.tell_once(folds)
            self._ready += self._waiting.all()
            self._endpoints.held = False

    def tell_once(self, folds: Folds) -> None:
        """Tell flows once that were read and not passed on. Raises as `read`."""
        loose = [lot for lot in folds.lots if isinstance(lot, Unfolded)]
        others = [lot for lot in folds.lots if not isinstance(lot, Unfolded)]
        folds.lots = [*others, *self._waiting.folded(loose)]

    def _blocks(self, content: object, share: Share) -> Iterator[Block | Unreadable]:
        found: Iterator[object] = iter([content])
        whole = content.opened() if isinstance(content, Zipped) else None
        if isinstance(content, Range):
            found = blocks_of(content, _BLOCK)
        elif isinstance(content, Slot) and self._slots is not None:
            found = blocks_in(content, self._slots, _BLOCK)
        elif whole is not None:
            found = blocks_of_input(whole, _BLOCK, self._own)
        for block in found:
            if isinstance(block, Block):
                block.stretches = self._cut(block.text)
                yield block
            elif isinstance(block, Unreadable):
                yield block
            del block
        if whole is not None:
            share.cut = whole.cut

    def keys(self, flows: Folds | None) -> Keys:
        """Return what to tell repeated flows by."""
        return repeatable_keys(flows.uuids) if flows is not None and self._settings.dedup else None

    def passed_on(self, share: Share, folds: Folds, new: New) -> list[pa.RecordBatch]:
        """Return the new ones of a portion's flows, alike ones added up, in the columns asked for; tell its ledger.

        Some may wait for more, and are returned with the flows of a later portion, or at the `end`. Raises as `read`.
        """
        self._builder.ledger = share.ledger
        self._unpassed = [one for one in self._unpassed if one is not folds]
        for lot in folds.passed_on(new, share.ledger):
            if isinstance(lot, Unfolded):
                self._waiting.add(lot)
            elif isinstance(lot, Fold | Summed):
                self._ready.append(lot)
        self._ready += self._waiting.enough()
        self._endpoints.held = bool(self._unpassed or len(self._waiting))
        return self._added_up()

    def _added_up(self) -> list[pa.RecordBatch]:
        ready, self._ready = self._ready, []
        return [fold.added_up(self._schema.names) for fold in ready]

    def end(self) -> tuple[list[pa.RecordBatch], Whole]:
        """Return the flows that waited, as `passed_on` does, and what was seen in all portions together. Raises as `read`."""
        ledger = self._builder.ledger = Ledger(held=[] if self._settings.logged else None)
        self._ready += self._waiting.all()
        return self._added_up(), Whole(self._endpoints.known(), self._builder.presence.seen(), ledger)


class Division:
    """A reading in portions. Whoever does it hands back, in order of portions, keys (`new`) and shares (`join`)."""

    def __init__(
        self,
        inputs: Sequence[Input],
        settings: Settings,
        ledger: Ledger,
        endpoints: Endpoints,
        want: Want,
        progress: Callable[[], None],
    ) -> None:
        """Divide the inputs; the ledger and the endpoints of the whole grow with each share."""
        self.settings = settings
        self._inputs, self._ledger, self._endpoints = inputs, ledger, endpoints
        self._want, self._progress = replace(want, ranges=True, stretches=False), progress
        self._totals = [Share(ledger) for _ in inputs]
        self._kept: list[dict[str, pa.Table]] = []
        self._shelf = Shelf(endpoints, ledger, None, (), self._kept)
        columns = settings.columns | settings.extra
        self._builder = Builder(columns, endpoints, ledger, keep_query=settings.keep_query)
        self._schema = pa.schema([field for field in FLOWS if field.name in settings.columns])

    @cached_property
    def _seen(self) -> SeenIds:
        """The keys of flows; compiled code for them is loaded while the first flows are read."""
        return seen_ids(self.settings.compiled)

    @property
    def is_recorded(self) -> bool:
        """Whether all inputs are windows."""
        return all(one.window is not None for one in self._inputs)

    @property
    def is_one_stream(self) -> bool:
        """Whether there is one input alone, and compressed."""
        return len(self._inputs) == 1 and self._inputs[0].compressed

    def portions(self, slots: Slots | None = None) -> Iterator[Portion]:
        """Yield all portions in order; lines that lie in no plain file in ``slots``, if there are any.

        Raise InputError where an input cannot be read.
        """
        pieces = in_step(self._inputs, replace(self._want, slots=slots))
        if len(self._inputs) > FEW and any(one.compressed for one in self._inputs):
            pieces = ahead(pieces, _INFLATED)
        for number, (place, piece) in enumerate(pieces):
            yield Portion(number, place, self._inputs[place].name, piece)

    def new(self, keys: Keys) -> New:
        """Return which flows of the next portion were not read before; None for all."""
        if keys is None or not self.settings.dedup:
            return None
        found = self._seen.first_seen(keys)
        return None if found.all() else found

    def own(self, portion: Portion) -> tuple[pa.RecordBatch | None, list[dict[str, pa.Table]]]:
        """Read the next portion, one that is not for readers: return its flows, and what state it holds."""
        content = portion.content
        if not isinstance(content, Stored | Kept):
            self._finish(portion.place)
            return None, []
        batch = self._shelf.take(content, portion.name)
        keys = repeatable_keys(batch.column("uuid")) if self.settings.dedup else None
        batch = passed_on(batch, self.new(keys), self._ledger).select(self._schema.names)
        kept = self._kept[:]
        self._kept.clear()
        return batch, kept

    def join(self, portion: Portion, share: Share) -> None:
        """Add what the next portion told. Raise Undividable where more of the input is needed to read it."""
        if share.waits:
            raise Undividable
        total = self._totals[portion.place]
        if share.ledger.held:
            share.ledger.held[:] = [
                replace(told, place=self._renumbered(portion, told.place)) for told in share.ledger.held
            ]
        share.ledger.named[:] = [self._renumbered(portion, text) for text in share.ledger.named]
        share.ledger.notes[:] = [self._renumbered(portion, text) for text in share.ledger.notes]
        total.failure = total.failure or self._renumbered(portion, share.failure)
        total.events += share.events
        self._ledger.join(share.ledger)
        if isinstance(portion.content, Range | Slot):
            total.lines += share.lines
        one = self._inputs[portion.place]
        if isinstance(portion.content, Range):
            one.read += portion.content.end - portion.content.start
        elif isinstance(portion.content, Zipped):
            one.read, one.cut = one.size or 0, share.cut
        self._progress()

    def told(self, portion: Portion, error: InputError) -> InputError:
        """Return the error that the next portion gave, as of the whole input."""
        return InputError(self._renumbered(portion, str(error)))

    def end(self, readers: Sequence[Whole]) -> None:
        """Join what the readers know, after the last portion."""
        for one in readers:
            self._endpoints.join(one.known)
            self._builder.presence.join(*one.seen)
            self._ledger.join(one.ledger)
        self._builder.end()
        self._shelf.end()
        self._ledger.complete = True
        self._progress()

    def _renumbered(self, portion: Portion, text: str) -> str:
        """Return a text that names a line of a range or slot with the number that the line has in the file."""
        before = self._totals[portion.place].lines
        if not before or not isinstance(portion.content, Range | Slot):
            return text
        pattern = rf"^({re.escape(portion.name)}:|line )(\d+)(?=:|$)"
        return re.sub(pattern, lambda found: f"{found[1]}{int(found[2]) + before}", text)

    def _finish(self, place: int) -> None:
        one, total = self._inputs[place], self._totals[place]
        if one.window is not None:
            return
        if one.cut:
            tell_cut(one.name, one.name, one.cut, self._ledger, strict=self.settings.strict)
        tell_nothing(one.name, total.events, total.failure, self._ledger)
