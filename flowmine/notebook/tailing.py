"""`flowmine.tail`: a live server followed in the background, and asked at any time for what came so far."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from flowmine.errors import UsageError
from flowmine.ingest.filters import Selection
from flowmine.ingest.filters.line import keyword_words, selection_of, split
from flowmine.ingest.relay import Relay, RelayOptions, open_relay
from flowmine.ingest.relay.settings import KEYS, server_of, settings
from flowmine.notebook import markup
from flowmine.notebook.dropframe import Drops
from flowmine.notebook.edgeframe import EdgeFrame
from flowmine.notebook.flows import Flows
from flowmine.notebook.frame import Frame, Listing
from flowmine.notebook.policies import Policies
from flowmine.notebook.progress import displayed, in_notebook
from flowmine.notebook.reading import Held, Reading
from flowmine.notebook.recommended import Recommended
from flowmine.notebook.sights import FirstSeen
from flowmine.notebook.simulated import Explained, Simulated

if TYPE_CHECKING:
    from flowmine.notebook.mapping import FlowMap

__all__ = ["Tail", "tail"]

_TICK = 0.5
_PATIENCE = 10.0


def tail(
    server: str = "",
    words: str = "",
    /,
    *,
    seconds: float | None = None,
    follow: bool = True,
    **keywords: Any,
) -> "Tail":
    """Return what a live server (hubble-relay, or one node's Hubble) tells, to be followed in the background.

    ``server`` is ``host:port``; empty it is what HUBBLE_* variables or Hubble's own configuration say. ``words`` and
    ``keywords`` are filters of `hubble observe`, which the server applies (``namespace="shop"``, ``last=1000``,
    ``since="5m"``), and its connection options (``tls=True``, ``tls_ca_cert_files=[...]``). It is followed for ``seconds``,
    or until `Tail.stop`; without ``follow`` what the server holds is taken, and no more.

    Nothing is asked of the server before the first question. Raise UsageError for what is none of these.
    """
    options = {key: keywords.pop(key.replace("-", "_"), None) for key in KEYS}
    found = settings(options)
    if found.get("port-forward"):
        raise UsageError(
            "flowmine.tail forwards no port: give the address that `kubectl port-forward` listens on"
        )
    chosen = server_of(found, server or None)
    selected = [*split(words), *keyword_words(keywords)]

    def opened(selection: Selection) -> Relay:
        asked = RelayOptions(selection=selection, follow=follow, lasting=seconds, tick=_TICK)
        return open_relay(chosen, options=asked)

    return Tail(chosen.address, opened, selected, ends=not follow or seconds is not None)


class Tail:
    """A live server. Each question is answered from what came until then; a tail with an end is read to it first.

    All flows are kept in memory. `so_far` returns them as `Flows`, which do not change any more.
    """

    def __init__(
        self, address: str, opener: Callable[[Selection], Relay], words: Sequence[str], *, ends: bool
    ) -> None:
        """Take what opens the stream; ``ends`` says that it does so by itself. Raise UsageError for a wrong filter."""
        self._address, self._opener, self._words, self._ends = address, opener, tuple(words), ends
        self._selection = selection_of(words)
        self._relay: Relay | None = None
        self._held: Held | None = None
        self._snapshot: Flows | None = None
        self._heard, self._over = threading.Event(), threading.Event()
        self._failure: Exception | None = None

    def filter(self, words: str = "", /, **keywords: Any) -> "Tail":
        """Return the tail with more filters on its line. Raise UsageError where it is followed already."""
        if self._relay is not None:
            raise UsageError("it is followed already: give flowmine.tail the filters")
        more = [*self._words, *split(words), *keyword_words(keywords)]
        return Tail(self._address, self._opener, more, ends=self._ends)

    def start(self) -> "Tail":
        """Begin to follow, where that is not done yet."""
        if self._relay is None:
            self._relay = self._opener(self._selection)
            threading.Thread(
                target=self._follow, args=(self._relay,), name="flowmine-tail", daemon=True
            ).start()
        return self

    def stop(self) -> "Tail":
        """End the following; what came is kept."""
        if self._relay is not None:
            self._relay.stop()
            self._over.wait(_PATIENCE)
        return self

    def wait(self, seconds: float | None = None) -> "Tail":
        """Wait so long, or until the stream ends."""
        self.start()._over.wait(seconds)
        return self

    def __enter__(self) -> "Tail":
        """Begin to follow."""
        return self.start()

    def __exit__(self, *exc: object) -> None:
        """End the following."""
        self.stop()

    @property
    def is_over(self) -> bool:
        """Whether the stream has ended."""
        return self._over.is_set()

    def so_far(self) -> Flows:
        """Return the flows that came until now; of a tail with an end, all.

        Raise InputError where the server cannot be reached, or failed before anything came.
        """
        self.start()
        if self._ends:
            self._over.wait()
        return self._now()

    def watch(
        self,
        question: Callable[[Flows], Frame] = Flows.edges,
        *,
        every: float = 2.0,
        show: Callable[[Frame, Any], Any] | None = None,
    ) -> None:
        """Show the answer to a question anew every so many seconds, until the stream ends or the cell is interrupted.

        In a notebook it is written over, elsewhere printed; ``show`` does it otherwise, given the answer and what it
        returned the time before. Raise InputError as `so_far` does.
        """
        self.start()
        handle, shower = None, show or _shown
        try:
            while True:
                handle = shower(question(self._now()), handle)
                if self._over.wait(every):
                    break
        except KeyboardInterrupt:
            return
        shower(question(self._now()), handle)

    def edges(self) -> EdgeFrame:
        """Return the edges so far; see `Flows.edges`."""
        return self.so_far().edges()

    def drops(self, policies: Policies | None = None, **options: Any) -> Drops:
        """Return the drops so far; see `Flows.drops`."""
        return self.so_far().drops(policies, **options)

    def recommend(self, **wishes: Any) -> Recommended:
        """Return a recommendation from what came so far; see `Flows.recommend`."""
        return self.so_far().recommend(**wishes)

    def simulate(self, policies: Policies, against: Policies | None = None, **options: Any) -> Simulated:
        """Return what policies would do to what came so far; see `Flows.simulate`."""
        return self.so_far().simulate(policies, against, **options)

    def explain(self, policies: Policies, **options: Any) -> Explained:
        """Return the traffic so far behind each rule; see `Flows.explain`."""
        return self.so_far().explain(policies, **options)

    def map(self, policies: Policies | None = None, *, group: str = "") -> "FlowMap":
        """Return the map so far; see `Flows.map`."""
        return self.so_far().map(policies, group=group)

    def timeline(self, every: str = "1m", by: str = "verdict") -> Listing:
        """Return how many flows there were over time; see `Flows.timeline`."""
        return self.so_far().timeline(every, by)

    def first_seen(self) -> FirstSeen:
        """Return when edges were first seen; see `Flows.first_seen`."""
        return self.so_far().first_seen()

    def namespaces(self) -> Listing:
        """Return how much went between namespaces so far; see `Flows.namespaces`."""
        return self.so_far().namespaces()

    @property
    def table(self) -> pa.Table:
        """The flows so far as an Arrow table."""
        return self.so_far().table

    def to_pandas(self) -> Any:
        """Return the flows so far as a DataFrame of pandas."""
        return self.so_far().to_pandas()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the flows so far through Arrow's PyCapsule interface."""
        return self.so_far().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        """Return what is followed, and how much came so far."""
        return "\n".join([self._title, *self._lines])

    def _repr_html_(self) -> str:
        return markup.card(self._title, markup.facts(self._lines))

    @property
    def _title(self) -> str:
        if self._relay is None:
            return f"{self._address}, not followed yet"
        flows = sum(batch.num_rows for batch in self._held.flows) if self._held else 0
        return f"{self._address}, {'over' if self.is_over else 'followed'}: {flows:,} flows so far"

    @property
    def _lines(self) -> tuple[str, ...]:
        return (f"ended: {self._failure}",) if self._failure else ()

    def _now(self) -> Flows:
        """Return what came until now, of a stream that is followed."""
        self._heard.wait(_PATIENCE)
        held = self._held
        if self._failure is not None and (held is None or not held.flows):
            raise self._failure
        assert self._relay is not None
        if held is None:
            held = Held((), self._relay.endpoints, self._relay.pods, self._relay.ledger)
        if self._snapshot is None or self._snapshot.reading.given is not held:
            self._snapshot = Flows(self._reading(held))
        return self._snapshot

    def _reading(self, held: Held) -> Reading:
        hiding = replace(self._selection, since=None, until=None, first=0, last=0)
        why = "the server filters them: give flowmine.tail the filters"
        return Reading(
            (self._address,), selections=() if hiding.everything else (hiding,), given=held, why_whole=why
        )

    def _follow(self, relay: Relay) -> None:
        """Take in what comes, in a thread of its own; what is known so far is put where others see it at once."""
        batches: list[pa.RecordBatch] = []
        try:
            for batch in relay.batches():
                if batch.num_rows:
                    batches.append(batch)
                if batch.num_rows or self._held is None:
                    self._held = Held(tuple(batches), relay.endpoints, relay.pods, relay.ledger.merge([]))
                self._heard.set()
            self._held = Held(tuple(batches), relay.endpoints, relay.pods, relay.ledger.merge([]))
        except Exception as error:  # whoever asks next is told
            self._failure = error
        finally:
            self._over.set()
            self._heard.set()


def _shown(answer: Frame, handle: Any) -> Any:
    """Show an answer in the place of the one before, where a notebook runs this; else print it."""
    if in_notebook():
        return displayed(answer._repr_html_(), handle)
    print(answer)
    return handle
