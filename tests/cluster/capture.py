"""Record a cluster: a stream of Hubble events, as any of the captures that could have been made of it."""

from __future__ import annotations

import gzip
import heapq
import random
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO

import msgspec

from tests.cluster.deploy import Deployed, End
from tests.cluster.hubble import DROP_REASONS, Event, Hubble, Packet, Seen
from tests.cluster.judge import Bench, Judge
from tests.cluster.model import Capture, Cluster
from tests.cluster.plan import SECOND, Connection, Planner, dns_links
from tests.cluster.traffic import Timed, Wire

_ENCODE = msgspec.json.Encoder().encode


def events(
    cluster: Cluster, count: int = 2000, capture: Capture | None = None, judge: Judge | None = None
) -> Iterator[Event]:
    """Yield about ``count`` events in order of time, never fewer than show every link once.

    ``judge`` answers what the policies say; by default flowmine's engine, which no policies do without.
    """
    capture = capture or Capture()
    stream = _merged(cluster, count, capture, judge)
    kept = (event for event in stream if _kept(event, capture))
    if capture.twice:
        kept = _repeated(kept, f"{cluster.name}/{cluster.nodes[0].name}")
    if capture.shuffled:
        shuffled = list(kept)
        random.Random(cluster.seed).shuffle(shuffled)
        kept = iter(shuffled)
    yield from kept


def lines(
    cluster: Cluster, count: int = 2000, capture: Capture | None = None, judge: Judge | None = None
) -> Iterator[bytes]:
    """Yield the same as JSON lines, each with its newline."""
    for event in events(cluster, count, capture, judge):
        yield _ENCODE(event) + b"\n"


def write(path: Path, content: Iterable[bytes]) -> int:
    """Write lines to a file, gzip'd where its name says so (the same bytes each time); return their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as open_files:
        out: IO[bytes] = open_files.enter_context(path.open("wb"))
        if path.suffix == ".gz":
            out = open_files.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0))  # type: ignore[assignment]
        return sum(1 for line in content if out.write(line))


def _merged(cluster: Cluster, count: int, capture: Capture, judge: Judge | None) -> Iterator[Event]:
    """Yield the events of all connections by time, holding only those of connections under way."""
    deployed = Deployed(cluster, capture.day)
    bench = Bench(cluster, judge)
    plan = Planner(deployed, capture).plan(count)
    bench.settle(plan)
    wire = Wire(deployed, capture, bench)
    pending: list[tuple[int, int, Event]] = []
    order = 0
    for timed, upto in _sources(wire, plan, deployed, capture):
        for at, _, event in timed:
            order += 1
            heapq.heappush(pending, (at, order, event))
        while pending and pending[0][0] < upto:
            yield heapq.heappop(pending)[2]
    while pending:
        yield heapq.heappop(pending)[2]


def _sources(
    wire: Wire, plan: list[Connection], deployed: Deployed, capture: Capture
) -> Iterator[tuple[Iterable[Timed], int]]:
    """Yield batches of events, each with the time before which no later batch has any."""
    yield list(_asides(wire.hubble, deployed, capture)), 0
    for connection in plan:
        yield wire.connection(connection), connection.start


def _asides(hubble: Hubble, deployed: Deployed, capture: Capture) -> Iterator[Timed]:
    """Yield what is no connection: the relay's node status, lost events, IPv6 solicitations."""
    cluster = deployed.cluster
    rng = random.Random(f"{cluster.name}/{cluster.seed}/{capture.day}/asides")
    span = int(capture.hours * 3600 * SECOND)
    nodes = [n.name for n in cluster.nodes]
    if capture.node_status:
        names = [hubble.node_name(n) for n in nodes if n not in capture.without_nodes]
        yield (
            1,
            "",
            _aside(hubble, 1, "relay-0", node_status={"state_change": "NODE_CONNECTED", "node_names": names}),
        )
        gone = [hubble.node_name(n) for n in capture.without_nodes]
        if gone:
            status = {"state_change": "NODE_UNAVAILABLE", "node_names": gone, "message": "connection refused"}
            yield 2, "", _aside(hubble, 2, "relay-0", node_status=status)
    for _ in range(capture.lost):
        at, node = rng.randrange(span), rng.choice(nodes)
        source = rng.choice(("HUBBLE_RING_BUFFER", "PERF_EVENT_RING_BUFFER", "OBSERVER_EVENTS_QUEUE"))
        lost = {"source": source, "num_events_lost": str(rng.randrange(1, 700))}
        yield at, node, _aside(hubble, at, hubble.node_name(node), lost_events=lost)
    if cluster.init:
        yield from _starting(hubble, deployed)
    if cluster.ndp:
        for pods in deployed.pods.values():
            for pod in pods[:1] if rng.random() < 0.3 else ():
                at = rng.randrange(span)
                if pod.node:
                    yield at, pod.node, _solicitation(hubble, at, pod, rng)


def _aside(hubble: Hubble, at: int, node: str, **content: dict[str, object]) -> Event:
    return {**content, "node_name": node, "time": hubble.time(at)}


def _starting(hubble: Hubble, deployed: Deployed) -> Iterator[Timed]:
    """Yield the lookups that pods try before they have their identity: dropped, under reserved:init."""
    resolvers = deployed.pods.get(deployed.cluster.resolver, [])
    for link in dns_links(deployed.cluster):
        for pod in deployed.pods[link.src]:
            family = next((f for f in pod.addresses if resolvers and f in resolvers[0].addresses), "")
            if not pod.node or not family or pod.window[0] > 0:
                continue
            early = replace(pod, identity=5, labels=("reserved:init",), shown={})
            packet = Packet(early, resolvers[0], family, "UDP", 40000, 53)
            extra = {"drop_reason_desc": "POLICY_DENIED"}
            seen = Seen("DROPPED", event=(1, 133), direction="EGRESS", extra=extra)
            yield 5_000_000, pod.node, hubble.event(5_000_000, pod.node, packet, seen)


def _solicitation(hubble: Hubble, at: int, pod: End, rng: random.Random) -> Event:
    link_local = f"fe80::{rng.getrandbits(16):x}:8aff:fe72:{rng.getrandbits(16):x}"
    routers = End("world", "world:routers", {"IPv6": "ff02::2"}, 0, ("reserved:unknown",))
    packet = Packet(pod, routers, "IPv6", "ICMPv6", 0, 133, source_ip=link_local)
    reason = "INVALID_SOURCE_IP"
    seen = Seen(
        "DROPPED", event=(1, DROP_REASONS[reason]), direction="EGRESS", extra={"drop_reason_desc": reason}
    )
    return hubble.event(at, pod.node, packet, seen)


def _kept(event: Event, capture: Capture) -> bool:
    """Tell whether a capture holds an event; lost events and node status pass every filter."""
    if capture.without_nodes and event["node_name"].rpartition("/")[2] in capture.without_nodes:
        return False
    flow = event.get("flow")
    if flow is None:
        return True
    l7 = flow.get("l7", {})
    if ("dns" in l7 and not capture.dns) or ("http" in l7 and not capture.http):
        return False
    if flow["Type"] == "SOCK" and not capture.sock:
        return False
    spaces = (flow["source"].get("namespace"), flow["destination"].get("namespace"))
    return not capture.namespace or capture.namespace in spaces


def _repeated(stream: Iterator[Event], node: str) -> Iterator[Event]:
    """Yield a stream in which a node's events come twice, the second time a little later."""
    held: list[Event] = []
    for event in stream:
        yield event
        if event["node_name"] == node and "flow" in event:
            held.append(event)
        if len(held) > 20:
            yield held.pop(0)
    yield from held
