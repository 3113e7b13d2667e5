"""Judge a set of policies by what is known to be true: coverage, fresh coverage, excess, strangers.

As told beside the corpora: all policies are loaded together and both ends are asked of the engine. A name counts as
learned only where the policies let the asker's own lookup of it through a DNS proxy, as in a real cluster.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.truths import Party, Query, Triple, Truth, strangers

Answer = Mapping[str, Any]
Verdicts = Callable[[Sequence[Query]], Sequence[Answer]]

EXTRA_PORTS = (("TCP", 22), ("TCP", 3306), ("UDP", 161), ("TCP", 10250))
"""Ports that nobody in the truths uses."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure: of `total` things asked, `counted` were allowed; `listed` are the ones that should not be so."""

    name: str
    counted: int
    total: int
    listed: tuple[str, ...]

    @property
    def percent(self) -> float:
        """Return the part that was allowed, in percent; nothing asked is 100 for coverage and 0 for excess."""
        if not self.total:
            return 100.0 if self.name in ("coverage", "fresh") else 0.0
        return 100.0 * self.counted / self.total

    @property
    def good(self) -> bool:
        """Tell whether the goal is reached: everything allowed for coverage, nothing for the others."""
        return not self.listed


@dataclass(frozen=True, slots=True)
class Score:
    """The four figures of one recommendation."""

    coverage: Measure
    fresh: Measure
    excess: Measure
    strangers: Measure

    def measures(self) -> tuple[Measure, ...]:
        """Return the four, in order."""
        return (self.coverage, self.fresh, self.excess, self.strangers)

    @property
    def perfect(self) -> bool:
        """Tell whether all four goals are reached."""
        return all(measure.good for measure in self.measures())


def engine(policies: Sequence[Mapping[str, Any]], truth: Truth) -> Verdicts:
    """Return flowmine's own engine over a set of policies, one that refuses to work where Cilium refuses a policy."""
    from flowmine.engine.policyset import PolicySet

    loaded = PolicySet.from_dicts(
        [dict(each) for each in policies], config={"ipv6": truth.dual, "cluster_name": truth.cluster}
    )
    if problems := loaded.problems():
        raise ValueError(f"Cilium would refuse: {'; '.join(map(str, problems))}")
    return lambda queries: list(loaded.verdicts(list(queries)))


def judge(
    verdicts: Verdicts, truth: Truth, fresh: Truth | None, *, partial: bool = False, sample: int = 20_000
) -> Score:
    """Return the score of the policies behind `verdicts`.

    `sample` bounds the triples tried for excess. Of a `partial` capture some workloads rightly have no policy: what no
    policy decides is then no excess.
    """
    return Score(
        _coverage("coverage", verdicts, truth, fresh=False),
        _coverage("fresh", verdicts, fresh or truth, fresh=True),
        _excess(verdicts, truth, sample, partial),
        _strangers(verdicts, truth, partial),
    )


def passed(answer: Answer) -> bool:
    """Tell whether both ends and the proxies between them let a connection through."""
    return (
        answer["verdict"] == "allowed"
        and answer.get("http_allowed") is not False
        and answer.get("dns_allowed") is not False
    )


def _let_in(answer: Answer, partial: bool) -> bool:
    undecided = answer["egress"] == answer["ingress"] == "no-policy"
    return answer["verdict"] == "allowed" and not (partial and undecided)


def _coverage(name: str, verdicts: Verdicts, truth: Truth, *, fresh: bool) -> Measure:
    asked: list[tuple[Triple, Query]] = []
    for edge in truth.edges:
        triple = truth.triple(edge)
        for query in _wanted(truth, edge, triple, fresh):
            asked.append((triple, query))
    asked = [
        (triple, query)
        for (triple, _), query in zip(asked, _learned(verdicts, truth, [q for _, q in asked]), strict=True)
    ]
    failed: dict[Triple, str] = {}
    answers = verdicts([query for _, query in asked])
    for (triple, query), answer in zip(asked, answers, strict=True):
        if not passed(answer):
            failed.setdefault(triple, _told(triple, query, answer))
    triples = {triple for triple, _ in asked}
    return Measure(
        name, len(triples) - len(failed), len(triples), tuple(failed[each] for each in sorted(failed))
    )


def _wanted(truth: Truth, edge: Mapping[str, Any], triple: Triple, fresh: bool) -> Iterable[Query]:
    """The questions of one intended edge: every address, name and port, every request and every lookup."""
    for src in truth.parties(triple.src, fresh):
        for dst in truth.parties(triple.dst, fresh):
            for port in truth.ports(triple):
                query: Query = {"src": src, "dst": dst, "protocol": triple.protocol, "port": port}
                requests = truth.requests(edge)
                lookups = [name for name, *_ in edge.get("dns", ())] + _lookups(truth, triple, fresh)
                yield from ({**query, "http": request} for request in requests)
                yield from ({**query, "dns": {"query": name}} for name in lookups)
                if not requests and not lookups:
                    yield query


def _lookups(truth: Truth, triple: Triple, fresh: bool) -> list[str]:
    """The outside names that a subject must be able to ask its resolver for."""
    if triple.dst not in truth.resolvers or triple.low != 53:
        return []
    targets = {
        edge["dst"] for edge in truth.edges if edge["src"] == triple.src and edge["dst"].startswith("world:")
    }
    hosts = [truth.data["outside"][key.removeprefix("world:")] for key in sorted(targets)]
    return [name for host in hosts for name in truth.names_of(host, fresh)]


def _learned(verdicts: Verdicts, truth: Truth, queries: Sequence[Query]) -> list[Query]:
    """The queries, with only such names of their destination as the source's lookup would have taught the agent."""
    wanted: dict[tuple[tuple[str, ...], str], Query] = {}
    for query in queries:
        for name in query["dst"].get("names", ()):
            wanted[tuple(query["src"]["labels"]), name] = query["src"]
    lookups: list[tuple[tuple[tuple[str, ...], str], Query]] = [
        (
            key,
            {
                "src": src,
                "dst": {"labels": truth.labels[resolver]},
                "protocol": "UDP",
                "port": 53,
                "dns": {"query": key[1]},
            },
        )
        for key, src in wanted.items()
        for resolver in sorted(truth.resolvers)
        if resolver in truth.labels
    ]
    taught = defaultdict(bool)
    for (key, _), answer in zip(lookups, verdicts([query for _, query in lookups]), strict=True):
        taught[key] |= passed(answer) and bool(answer.get("egress_l7"))
    return [_with_names(query, taught) for query in queries]


def _with_names(query: Query, taught: Mapping[tuple[tuple[str, ...], str], bool]) -> Query:
    if not query["dst"].get("names"):
        return query
    src = tuple(query["src"]["labels"])
    names = [name for name in query["dst"]["names"] if taught[src, name]]
    return {**query, "dst": {**query["dst"], "names": names}}


def _excess(verdicts: Verdicts, truth: Truth, sample: int, partial: bool) -> Measure:
    meant = _Meant(truth)
    triples = [each for each in _universe(truth) if each not in meant]
    if len(triples) > sample:
        triples = random.Random(truth.seed).sample(triples, sample)
    queries = [
        {
            "src": truth.parties(t.src)[0],
            "dst": truth.parties(t.dst)[0],
            "protocol": t.protocol,
            "port": t.low,
        }
        for t in triples
    ]
    answers = verdicts(_learned(verdicts, truth, queries))
    wrong = [_told(t, q, a) for t, q, a in zip(triples, queries, answers, strict=True) if _let_in(a, partial)]
    return Measure("excess", len(wrong), len(triples), tuple(wrong))


def _universe(truth: Truth) -> Iterable[Triple]:
    """All triples of known parties and ports of which at least one end is a governed pod's to decide."""
    ports = {
        (each.protocol, port)
        for edge in truth.data["edges"]
        for each in [truth.triple(edge)]
        for port in (each.low, each.high)
    }
    hosts = [f"world:{name}" for name in truth.data["outside"]]
    places = [key for key in truth.labels if key.startswith("entity:")] + hosts
    governed = set(truth.governed)
    for src in [*truth.pods, *places]:
        for dst in [*truth.pods, *places]:
            if src == dst or not governed & {src, dst} or (src == "entity:host" and dst in governed):
                continue
            for protocol, port in sorted(ports | set(EXTRA_PORTS)):
                yield Triple(src, dst, protocol, port, port)


class _Meant:
    """What no set of policies may be blamed for allowing."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.spans: dict[tuple[str, str], list[Triple]] = defaultdict(list)
        self.crowds: dict[str, list[Triple]] = defaultdict(list)
        for edge in truth.data["edges"]:
            if edge.get("intended", True):
                triple = truth.triple(edge)
                self.spans[triple.src, triple.dst].append(triple)
                if truth.is_crowd(triple.src):
                    self.crowds[triple.dst].append(triple)

    def __contains__(self, triple: Triple) -> bool:
        spans = [
            span
            for src in (triple.src, *self.truth.implied(triple.src))
            for dst in (triple.dst, *self.truth.implied(triple.dst))
            for span in self.spans[src, dst]
        ]
        if triple.src.startswith("world:"):
            spans += self.crowds[triple.dst]
        return any(_holds(span, triple) or _holds_tcp(self.truth, span, triple) for span in spans)

    def open_to_all(self, dst: str, protocol: str, port: int) -> bool:
        """Tell whether everybody may reach a pod there."""
        return any(_holds(span, Triple(span.src, dst, protocol, port, port)) for span in self.crowds[dst])


def _holds(span: Triple, triple: Triple) -> bool:
    return span.protocol == triple.protocol and span.low <= triple.low and triple.high <= span.high


def _holds_tcp(truth: Truth, span: Triple, triple: Triple) -> bool:
    """Lookups over TCP come with those over UDP: an answer may be too long for one datagram."""
    lookup = span.dst in truth.resolvers and span.protocol in ("UDP", "TCP") and span.low == triple.low
    return lookup and triple.protocol in ("UDP", "TCP")


def _strangers(verdicts: Verdicts, truth: Truth, partial: bool) -> Measure:
    meant = _Meant(truth)
    ports = sorted(
        {
            (t.protocol, port)
            for e in truth.data["edges"]
            for t in [truth.triple(e)]
            for port in (t.low, t.high)
        }
    )
    asked: list[tuple[Triple, Query]] = []
    for party in strangers(truth):
        told = f"stranger {party['ip']} {' '.join(party['names'])}".strip()
        for key in truth.governed:
            pod: Party = {"labels": truth.labels[key]}
            for protocol, port in [*ports, *EXTRA_PORTS]:
                query: Query = {"protocol": protocol, "port": port}
                asked.append((Triple(key, told, protocol, port, port), {**query, "src": pod, "dst": party}))
                if not meant.open_to_all(key, protocol, port):
                    asked.append(
                        (Triple(told, key, protocol, port, port), {**query, "src": party, "dst": pod})
                    )
    queries = _learned(verdicts, truth, [query for _, query in asked])
    wrong = [
        _told(triple, query, answer)
        for (triple, _), query, answer in zip(asked, queries, verdicts(queries), strict=True)
        if _let_in(answer, partial)
    ]
    return Measure("strangers", len(wrong), len(asked), tuple(wrong))


def _told(triple: Triple, query: Query, answer: Answer) -> str:
    port = query["port"]
    at = f" at {port}" if triple.low != triple.high else ""
    ends = " ".join(f"{end}={query[end]['ip']}" for end in ("src", "dst") if query[end].get("ip"))
    asked = query.get("http") or query.get("dns") or ""
    sides = f"egress {answer['egress']}, ingress {answer['ingress']}"
    return " ".join(f"{triple}{at} {ends} {asked or ''} ({sides})".split())
