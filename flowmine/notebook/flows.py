"""Captured flows as people explore them: everything that can be asked of a capture, from one object."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from flowmine.advise.completeness import completeness
from flowmine.advise.drops import drops as report_drops
from flowmine.advise.explain import explain as advise_explain
from flowmine.advise.recommend import recommend as advise_recommend
from flowmine.advise.recorded import recorded
from flowmine.advise.simulate import simulate as advise_simulate
from flowmine.edges import Edges
from flowmine.errors import InputError, UsageError
from flowmine.ingest.filters import Selection
from flowmine.ingest.filters.line import keyword_words, selection_of, split
from flowmine.ledger import Ledger
from flowmine.notebook import markup, sights
from flowmine.notebook.dropframe import Drops
from flowmine.notebook.edgeframe import EdgeFrame
from flowmine.notebook.frame import Frame, Listing
from flowmine.notebook.inforce import NamedPorts, enforced
from flowmine.notebook.policies import Policies
from flowmine.notebook.reading import Reading
from flowmine.notebook.recommended import Recommended
from flowmine.notebook.simulated import Explained, Simulated, completeness_frame
from flowmine.notebook.wishes import options_and_scope, version_of
from flowmine.report.summary import summary_lines
from flowmine.synth.options import Options

if TYPE_CHECKING:
    from flowmine.notebook.mapping import FlowMap

__all__ = ["Flows"]


class Flows(Frame):
    """The flows of a capture, under filters. As a table: all columns of FLOWS, with the namespaces and workloads of both ends.

    Nothing is read until something is asked, and what was read is kept: edges, and all that is made of them, come from
    one reading (their answers' sources are kept too: two calls of `edges` read once); the flows' own table, `timeline`
    and `to_pandas` from another, which holds every flow in memory. `filter` returns other flows, which read for
    themselves.
    """

    def __init__(self, reading: Reading) -> None:
        """Take what reads; `flowmine.read` and `flowmine.tail` make these."""
        self.reading = reading

    def filter(self, words: str = "", /, **keywords: Any) -> "Flows":
        """Return the flows that filters of `hubble observe` keep, by their own words or as keywords.

        ``flows.filter("--namespace shop --verdict DROPPED")`` is ``flows.filter(namespace="shop", verdict="DROPPED")``.
        Several filters of one call combine as on one line of hubble's; calls one after the other must all agree. Raise
        UsageError for a word that is none, and a value that cannot be understood.
        """
        selection = selection_of([*split(words), *keyword_words(keywords)])
        return self if selection.everything else Flows(self.reading.filtered(selection))

    def exclude(self, words: str = "", /, **keywords: Any) -> "Flows":
        """Return the flows without those that filters match; see `filter`. Raise UsageError as it does."""
        kept = selection_of([*split(words), *keyword_words(keywords)])
        if kept.deny or kept.since or kept.until or kept.first or kept.last:
            raise UsageError("exclude takes filters of flows: no --not, and no window of time or number")
        return Flows(self.reading.filtered(Selection(deny=kept.allow))) if kept.allow else self

    def settled(self, *, complete: bool = False) -> Edges:
        """Return the tables behind `edges`; ``complete`` vouches that nothing was left out when it was recorded."""
        return self.reading.edges(complete=complete)

    def edges(self) -> EdgeFrame:
        """Return who talked to whom, on which port, and what became of it."""
        return self._edge_frame

    def drops(
        self,
        policies: Policies | None = None,
        *,
        named_ports: NamedPorts | None = None,
        cilium: str | None = None,
    ) -> Drops:
        """Return what was dropped and why, with the smallest change that admits it.

        ``policies`` are those in force (a set, a path, manifests); without them only the flows are told of. Raise
        PolicyError where a path holds no policy.
        """
        edges = self.settled()
        options = Options(cilium=version_of(cilium, self.ledger))
        known, texts = (None, {}) if policies is None else enforced(policies, edges, named_ports)
        return Drops(report_drops(edges, known, options, texts), texts)

    def recommend(self, *, complete: bool = False, **wishes: Any) -> Recommended:
        """Return the least policies that allow what was seen, and nothing else; proved by the engine.

        ``wishes`` are fields of `flowmine.synth.options.Options` and `flowmine.synth.scope.Scope`, such as
        ``namespace="shop"``, ``exact=True``, ``l7=["http"]``, ``per="namespace"``, ``stage="audit"``, ``cilium="1.16"``;
        ``complete`` vouches that the capture was not filtered when it was recorded.

        Raise UsageError for filtered flows, for the policies would cut off what a filter hides; InputError for a capture
        without labels; ProofError where nothing can be proved.
        """
        if self.reading.selections:
            raise UsageError(
                "filters would hide part of a workload's traffic, and its policy would cut that off: recommend from the "
                "unfiltered flows, and choose whose policies are written with namespace=, exclude="
            )
        edges = self.settled(complete=complete)
        if self.ledger.texts or "labels" in self.ledger.masked:
            raise InputError(f"no policy can be recommended: {self.ledger.mask_advice()}")
        options, scope = options_and_scope(wishes, self.ledger)
        return Recommended(advise_recommend(edges, options, scope), edges)

    def simulate(
        self, policies: Policies, against: Policies | None = None, *, named_ports: NamedPorts | None = None
    ) -> Simulated:
        """Return what policies would do to these flows: denied, newly let through, governed, never used.

        ``against`` are the policies in force; without them what was recorded is compared with. Raise PolicyError where a
        path holds no policy.
        """
        edges = self.settled()
        tried, _ = enforced(policies, edges, named_ports)
        now = None if against is None else enforced(against, edges, named_ports)[0]
        return Simulated(advise_simulate(edges, tried, now))

    def explain(self, policies: Policies, *, named_ports: NamedPorts | None = None) -> Explained:
        """Return the recorded traffic behind each rule of policies. Raise PolicyError where a path holds no policy."""
        edges = self.settled()
        known = recorded(edges)
        return Explained(advise_explain(known, enforced(policies, edges, named_ports)[0]), known)

    def map(self, policies: Policies | None = None, *, group: str = "") -> "FlowMap":
        """Return the map of who talks to whom; ``group`` (a namespace) is the one to show open where it is large.

        Raise UsageError for a group that is not on it.
        """
        from flowmine.notebook.mapping import FlowMap
        from flowmine.report.compose import Advice, compose

        edges = self.settled()
        known = None if policies is None else enforced(policies, edges)[0]
        advice = Advice(report_drops(edges, known), policies=known)
        return FlowMap(compose(edges, self.ledger, advice, self._called), group)

    def timeline(self, every: str = "1h", by: str = "verdict") -> Listing:
        """Return how many flows there were over time, by a column of theirs. Raise UsageError where there is no such."""
        return sights.timeline(self.table, every, by)

    def first_seen(self) -> sights.FirstSeen:
        """Return when edges were first seen, and how many there are at least: is the capture long enough?"""
        return sights.first_seen(self.settled())

    def namespaces(self) -> Listing:
        """Return how much went from each namespace to each other, by outcome."""
        return sights.namespaces(self.settled())

    def completeness(self) -> Listing:
        """Return, for each workload, how many of its contacts were seen and how many there are at least (Chao2)."""
        known = recorded(self.settled())
        noise = {row for each in known.noise for row in each.rows}
        rows = (
            row for row, link in enumerate(known.links) if link.outcome == "delivered" and row not in noise
        )
        return completeness_frame(completeness(known, sorted(rows)))

    @property
    def ledger(self) -> Ledger:
        """How far the capture can be trusted: what was lost, skipped, masked. Reads it where nothing did."""
        return self.reading.ledger

    def labels_of(self, namespace: str, name: str) -> list[str]:
        """Return the labels of a pod or workload. Raise UsageError where it was not seen."""
        found = self._labels.get((namespace, name))
        if found is None:
            raise UsageError(f"{namespace}/{name} is in none of these flows; write its labels instead")
        return found

    @property
    def title(self) -> str:
        """What is read, how much of it, and from when to when."""
        if not self.reading.has_read:
            return f"{self._called}{self._narrowed}, not read yet"
        return f"{self._called}{self._narrowed}: {next(summary_lines(self.ledger))}"

    @property
    def lines(self) -> tuple[str, ...]:
        """How far the capture can be trusted, a sentence each: what was lost, skipped, left out; none before it is read."""
        return tuple(summary_lines(self.ledger))[1:] if self.reading.has_read else ()

    def __len__(self) -> int:
        """Return how many flows there are; reads them where nothing did."""
        return self.ledger.flows

    def __repr__(self) -> str:
        """Return what this is, without reading anything."""
        return "\n".join([self.title, *self.lines])

    def _repr_html_(self) -> str:
        return markup.card(self.title, markup.facts(self.lines))

    def _made(self) -> pa.Table:
        held = self.reading.held
        return named(held.table, held.endpoints)

    @cached_property
    def _edge_frame(self) -> EdgeFrame:
        return EdgeFrame(self.settled(), self._narrowed)

    @cached_property
    def _labels(self) -> dict[tuple[str, str], list[str]]:
        edges = self.settled()
        labels = dict(
            zip(edges.endpoints["id"].to_pylist(), edges.endpoints["labels"].to_pylist(), strict=True)
        )
        found: dict[tuple[str, str], list[str]] = {}
        for row in edges.pods.to_pylist():
            workload = (row["workload"] or "").rpartition("/")[2]
            for name in filter(None, (workload, row["pod_name"])):
                found[row["namespace"], name] = labels[row["endpoint"]]
        return found

    @property
    def _called(self) -> str:
        names = self.reading.names
        return names[0] if len(names) == 1 else f"{len(names):,} captures"

    @property
    def _narrowed(self) -> str:
        count = len(self.reading.selections)
        return f" (filtered{f' {count} times' if count > 1 else ''})" if count else ""


def named(flows: pa.Table, endpoints: pa.Table) -> pa.Table:
    """Return flows with the namespace, the workload and the labels of both ends beside their ids."""
    ids = endpoints.column("id").combine_chunks()
    for end in ("source", "destination"):
        matched = endpoints.take(pc.index_in(flows.column(end), value_set=ids))
        for name, column in (("namespace", "namespace"), ("workload", "workload_name"), ("labels", "labels")):
            flows = flows.append_column(f"{end}_{name}", matched.column(column))
    return flows
