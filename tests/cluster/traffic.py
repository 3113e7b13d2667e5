"""Turn a judged connection into the events that the nodes it crosses would have recorded."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.cluster.deploy import Deployed, End, fqdn_selectors
from tests.cluster.hubble import DROP_REASONS, SUB_TYPES, Event, Hubble, Packet, Seen
from tests.cluster.judge import DENIED, Bench
from tests.cluster.l7 import L7
from tests.cluster.model import Capture
from tests.cluster.plan import SECOND, Connection
from tests.cluster.policies import match_type, matches_name, references

Timed = tuple[int, str, Event]
_RETRIES = (0, 1 * SECOND, 3 * SECOND, 7 * SECOND)
_UNREASONED = 0.015  # traces without connection state, as some paths of the datapath give


class Wire:
    """Yields the events of connections: two to a dozen each, at the nodes that saw them."""

    def __init__(self, deployed: Deployed, capture: Capture, bench: Bench) -> None:
        self.deployed = deployed
        self.cluster = deployed.cluster
        self.capture = capture
        self.bench = bench
        self.rng = random.Random(f"{self.cluster.name}/{self.cluster.seed}/{capture.day}/{capture.seed}/wire")
        self.hubble = Hubble(self.cluster, capture, self.rng)
        self.l7 = L7(self.cluster, bench, self.rng)
        self.selectors = fqdn_selectors(self.cluster.policies)
        self.interfaces: dict[str, dict[str, object]] = {}

    def connection(self, c: Connection) -> Iterator[Timed]:
        """Yield (nanoseconds, node, event) for one connection, in no particular order."""
        if c.needs is not None and not self.resolved(c.needs):
            return
        one = _Course(self, c)
        yield from one.socket()
        if c.drops:
            yield from one.lost(c.drops)
        if not (yield from one.admitted()):
            return
        if c.icmp or c.proto in ("UDP", "SCTP"):
            yield from one.datagrams()
        else:
            yield from one.stream()

    def resolved(self, lookup: Connection) -> bool:
        """Tell whether a lookup got its answer, without which the client never connects."""
        if self.capture.audit:
            return True
        refused = any(answer.get("dns_allowed") is False for answer in lookup.answers)
        return lookup.verdict.get("verdict") != "denied" and not refused

    def shown(self, c: Connection) -> End:
        """Return the destination as Hubble labels it: with the toFQDNs rule its name was learned for."""
        names = self.bench.names(c)
        for selector in self.selectors if names and c.dst.kind == "world" else ():
            if len(c.dst.labels) == 1 and matches_name(selector, names[0]):
                return self.deployed.named(c.dst, selector, self.hubble.old)
        return c.dst

    def interface(self, end: End) -> dict[str, object]:
        """Return the network interface an end hangs on."""
        key = end.pod or end.key
        if key not in self.interfaces:
            index = 8 + len(self.interfaces)
            self.interfaces[key] = {"index": index, "name": f"lxc{random.Random(key).getrandbits(48):012x}"}
        return self.interfaces[key]


class _Course:
    """One connection on its way; ``now`` moves on with every event."""

    def __init__(self, wire: Wire, c: Connection) -> None:
        self.wire = wire
        self.c = c
        self.rng = wire.rng
        self.now = c.start
        self.source, self.target = c.src.node, c.dst.node
        self.dst = wire.shown(c)
        self.names = wire.bench.names(c) if wire.capture.dns else ()
        lb = wire.cluster.lb if wire.cluster.lb != "mixed" else wire.rng.choice(("socket", "packet"))
        self.translated = c.service is not None and lb == "packet"
        self.l7_side = wire.l7.side(c)
        requests = [a.get("http_allowed") is not False for a in c.answers] if c.requests else []
        self.blocked = bool(requests) and not any(requests) and not wire.capture.audit

    # ---- building blocks

    def at(self, node: str, packet: Packet, seen: Seen) -> Iterator[Timed]:
        """Yield one event at a node (none where no node of this cluster is) and let a little time pass."""
        if node:
            yield self.now, node, self.wire.hubble.event(self.now, node, packet, seen)
            self.now += self.rng.randrange(15_000, 180_000)

    def forward(self, flags: tuple[str, ...] = (), **more: object) -> Packet:
        """Return a packet from the client to the server."""
        c = self.c
        client = 0 if c.icmp else c.client
        fields = {"names": self.names} | more
        return Packet(c.src, self.dst, c.family, c.proto, client, c.port, flags, **fields)  # type: ignore[arg-type]

    def back(self, flags: tuple[str, ...] = (), at_source: bool = False) -> Packet:
        """Return a packet from the server to the client, translated back where the client's node does that."""
        c = self.c
        if c.icmp:
            return Packet(self.dst, c.src, c.family, c.proto, 0, {8: 0, 128: 129}.get(c.port, c.port))
        names = self.names if at_source else ()
        if at_source and self.translated and c.service is not None:
            service, port = c.service
            address = self.wire.deployed.service_address(service, c.family)
            return Packet(
                self.dst,
                c.src,
                c.family,
                c.proto,
                port,
                c.client,
                flags,
                source_xlated=address,
                reply_names=names,
            )
        return Packet(self.dst, c.src, c.family, c.proto, c.port, c.client, flags, reply_names=names)

    def trace(self, point: str, reason: str, direction: str, reply: bool, on: End) -> Seen:
        """Return a trace event's view; a few lack connection state, and then reason, direction and reply."""
        event = (4, SUB_TYPES[point])
        extra: dict[str, object] = {}
        if point in ("TO_ENDPOINT", "FROM_ENDPOINT", "TO_PROXY"):
            extra["interface"] = self.wire.interface(on)
        if point == "FROM_ENDPOINT":
            return Seen(event=event, point=point, extra=extra)
        if point in ("TO_OVERLAY", "TO_NETWORK") and not reply and self.rng.random() < _UNREASONED:
            return Seen(event=event, point=point, extra=extra)
        if point == "TO_PROXY":
            extra["proxy_port"] = 10000 + self.rng.randrange(10000)
        return Seen("FORWARDED", "L3_L4", event, point, reason, direction, reply, extra)

    # ---- before policy

    def socket(self) -> Iterator[Timed]:
        """Yield what the socket load balancer tells: the Service asked for and the pod it chose."""
        c = self.c
        if c.service is None or not self.source or self.translated or not self.wire.capture.sock:
            return
        service, port = c.service
        address = self.wire.deployed.service_address(service, c.family)
        world = self.wire.deployed.world(address)
        cookie = {
            "socket_cookie": str(self.rng.randrange(10**11, 10**12)),
            "cgroup_id": str(self.rng.randrange(9000)),
        }
        of = {"name": service.name, "namespace": service.workload.split("/")[0]}
        before = {
            "sock_xlate_point": "SOCK_XLATE_POINT_PRE_DIRECTION_FWD",
            "destination_service": of,
        } | cookie
        after = {"sock_xlate_point": "SOCK_XLATE_POINT_POST_DIRECTION_FWD"} | cookie
        asked = Packet(c.src, world, c.family, c.proto, 0, port)
        chosen = Packet(c.src, c.dst, c.family, c.proto, 0, c.port)
        yield from self.at(self.source, asked, Seen("TRACED", "SOCK", (7, 1), extra=before))
        yield from self.at(self.source, chosen, Seen("TRANSLATED", "SOCK", (7, 2), extra=after))

    def lost(self, reason: str) -> Iterator[Timed]:
        """Yield a drop that no policy decided; the client tries again and gets through."""
        node, side = (self.source, "EGRESS") if self.source else (self.target, "INGRESS")
        extra = {"drop_reason_desc": reason}
        seen = Seen("DROPPED", "L3_L4", (1, DROP_REASONS[reason]), direction=side, extra=extra)
        yield from self.at(node, self.forward(self.first_flags()), seen)
        self.now += SECOND

    def first_flags(self) -> tuple[str, ...]:
        """Return the TCP flags of a connection's first packet."""
        return ("SYN",) if self.c.proto == "TCP" else ()

    # ---- policy

    def admitted(self) -> Iterator[Timed]:
        """Yield refusals and their retries; return whether the connection goes on."""
        audit, verdict = self.wire.capture.audit, self.c.verdict
        for side in ("egress", "ingress"):
            node = self.source if side == "egress" else self.target
            if verdict.get(side) in DENIED and node:
                if audit:
                    continue
                for wait in _RETRIES[: self.rng.randint(1, 4)] if self.c.proto == "TCP" else _RETRIES[:2]:
                    self.now = self.c.start + wait + self.rng.randrange(900_000)
                    if side == "ingress":
                        yield from self.leave(self.first_flags(), "NEW", first=wait == 0)
                    yield from self.refused(side, node)
                return False
            if not (yield from self.authenticated(side, node)):
                return False
        return True

    def authenticated(self, side: str, node: str) -> Iterator[Timed]:
        """Yield the drops of a rule that demands authentication; return whether it came about."""
        kind = str(self.c.verdict.get(f"{side}_auth") or "")
        if not kind or kind == "disabled" or not node:
            return True
        for _ in range(3 if "fail" in kind else 1):
            yield from self.refused(side, node, "AUTH_REQUIRED", kind.upper().replace("-", "_"))
            self.now += SECOND
        return "fail" not in kind

    def refused(self, side: str, node: str, reason: str = "", auth: str = "") -> Iterator[Timed]:
        """Yield the policy-verdict and the drop event of a refusal, of which one may be missing."""
        verdict = self.c.verdict
        explicit = verdict.get(side) == "deny-rule"
        reason = reason or ("POLICY_DENY" if explicit else "POLICY_DENIED")
        extra: dict[str, object] = {"drop_reason_desc": reason}
        if auth:
            extra["auth_type"] = auth
        named = dict(extra)
        if explicit:
            by = [str(each) for each in verdict.get(f"{side}_by") or ()]  # type: ignore[attr-defined]
            named["policy_match_type"] = match_type(self.wire.cluster.policies, by, side)
            named[f"{side}_denied_by"] = references(self.wire.cluster.policies, by, self.c, side)
        kinds = [((5, 0), named), ((1, DROP_REASONS[reason]), extra)]
        missing = self.rng.random()
        if missing < 0.12:
            del kinds[0 if missing < 0.06 else 1]
        for event, more in kinds:
            seen = Seen("DROPPED", "L3_L4", event, direction=side.upper(), extra=more)
            yield from self.at(node, self.forward(self.first_flags()), seen)

    def allowed(self, side: str, node: str) -> Iterator[Timed]:
        """Yield the policy-verdict event of an end that policies govern: allowed, redirected or only audited."""
        verdict = self.c.verdict
        answer = verdict.get(side, "no-policy")
        if answer == "no-policy" or not node:
            return
        seen = Seen("FORWARDED", "L3_L4", (5, 0), direction=side.upper(), reply=False)
        if answer in DENIED:
            seen.verdict = "AUDIT"
        elif not self.wire.capture.allowed_verdicts:
            return
        else:
            by = [str(each) for each in verdict.get(f"{side}_by") or ()]  # type: ignore[attr-defined]
            seen.verdict = "REDIRECTED" if self.l7_side == side else "FORWARDED"
            seen.extra["policy_match_type"] = match_type(self.wire.cluster.policies, by, side)
            seen.extra[f"{side}_allowed_by"] = references(self.wire.cluster.policies, by, self.c, side)
        yield from self.at(node, self.forward(self.first_flags()), seen)

    # ---- on the way

    def leave(self, flags: tuple[str, ...], reason: str, first: bool) -> Iterator[Timed]:
        """Yield what the client's node records of a forward packet."""
        node, c = self.source, self.c
        if not node:
            return
        if first and self.wire.capture.from_endpoint and c.src.kind == "pod":
            yield from self.from_endpoint(flags)
        if first:
            yield from self.allowed("egress", node)
        if self.l7_side == "egress":
            yield from self.at(
                node, self.forward(flags), self.trace("TO_PROXY", reason, "EGRESS", False, c.src)
            )
        if self.target != node:
            for point in self.way_out(c.dst, c.src):
                yield from self.at(
                    node, self.forward(flags), self.trace(point, reason, "EGRESS", False, c.src)
                )

    def from_endpoint(self, flags: tuple[str, ...]) -> Iterator[Timed]:
        """Yield FROM_ENDPOINT, which comes before policy and, without socket LB, shows the Service's address."""
        c = self.c
        seen = self.trace("FROM_ENDPOINT", "", "", False, c.src)
        packet = self.forward(flags)
        if self.translated and c.service is not None:
            service, port = c.service
            world = self.wire.deployed.world(self.wire.deployed.service_address(service, c.family))
            packet = Packet(c.src, world, c.family, c.proto, c.client, port, flags)
            of = {"name": service.name, "namespace": service.workload.split("/")[0]}
            seen.extra["destination_service"] = of
        yield from self.at(self.source, packet, seen)

    def way_out(self, towards: End, sender: End) -> tuple[str, ...]:
        """Return the observation points at which a packet leaves a node for another machine."""
        if sender.key == "entity:host":
            return ("TO_NETWORK",)
        if towards.kind == "pod" or towards.key in ("entity:health", "entity:ingress"):
            return ("TO_OVERLAY",) if self.wire.cluster.routing == "tunnel" else ("TO_NETWORK",)
        if self.wire.cluster.routing == "native" or self.rng.random() < 0.5:
            return ("TO_STACK", "TO_NETWORK")
        return ("TO_STACK",)

    def arrive(self, flags: tuple[str, ...], reason: str, first: bool) -> Iterator[Timed]:
        """Yield what the server's node records of a forward packet."""
        node, c = self.target, self.c
        if not node:
            return
        direction = "INGRESS" if self.wire.hubble.old else "EGRESS"
        if first:
            yield from self.allowed("ingress", node)
        if self.l7_side == "ingress":
            yield from self.at(
                node, self.forward(flags), self.trace("TO_PROXY", reason, "INGRESS", False, c.dst)
            )
        if self.blocked:
            return
        point = "TO_HOST" if c.dst.key == "entity:host" else "TO_ENDPOINT"
        direction = "INGRESS" if point == "TO_HOST" else direction
        yield from self.at(node, self.forward(flags), self.trace(point, reason, direction, False, c.dst))

    def reply(self, flags: tuple[str, ...] = ()) -> Iterator[Timed]:
        """Yield what both nodes record of a packet on its way back."""
        c = self.c
        if self.target and self.target != self.source:
            for point in self.way_out(c.src, c.dst):
                yield from self.at(
                    self.target, self.back(flags), self.trace(point, "REPLY", "INGRESS", True, c.dst)
                )
        if self.source and c.src.key not in ("entity:host", "entity:remote-node"):
            point = "TO_PROXY" if c.src.key == "entity:ingress" else "TO_ENDPOINT"
            seen = self.trace(point, "REPLY", "EGRESS", True, c.src)
            yield from self.at(self.source, self.back(flags, at_source=True), seen)
        elif self.source and self.source == self.target:
            yield from self.at(
                self.source, self.back(flags), self.trace("TO_STACK", "REPLY", "INGRESS", True, c.dst)
            )

    def go(self, flags: tuple[str, ...], reason: str, first: bool = False) -> Iterator[Timed]:
        """Yield a forward packet's events at both nodes."""
        yield from self.leave(flags, reason, first)
        yield from self.arrive(flags, reason, first)
        self.now += self.rng.randrange(200_000, 1_500_000)

    # ---- whole conversations

    def datagrams(self) -> Iterator[Timed]:
        """Yield one datagram and its reply (or the ICMP error that a closed port gives)."""
        yield from self.go((), "NEW", first=True)
        if not self.c.listening:
            yield from self.unreachable()
            return
        yield from self.l7_events()
        if not self.c.icmp or self.c.port in (8, 128):
            yield from self.reply()

    def stream(self) -> Iterator[Timed]:
        """Yield a TCP connection: handshake, perhaps data and the end of it."""
        yield from self.go(("SYN",), "NEW", first=True)
        if not self.c.listening:
            yield from self.reply(("RST", "ACK"))
            return
        yield from self.reply(("SYN", "ACK"))
        if self.c.requests or self.c.queries or self.rng.random() < 0.7:
            yield from self.go(("ACK", "PSH"), "ESTABLISHED")
            yield from self.l7_events()
            yield from self.reply(("ACK", "PSH"))
        if self.rng.random() < 0.35:
            yield from self.go(("ACK", "FIN"), "ESTABLISHED")
            yield from self.reply(("ACK", "FIN"))

    def unreachable(self) -> Iterator[Timed]:
        """Yield the ICMP error for a closed port: RELATED to the connection, and not marked as a reply."""
        c = self.c
        proto, kind, code = ("ICMPv6", 1, 4) if c.family == "IPv6" else ("ICMP", 3, 3)
        packet = Packet(self.dst, c.src, c.family, proto, 0, kind, code=code)
        if self.target and self.target != self.source:
            for point in self.way_out(c.src, c.dst):
                yield from self.at(self.target, packet, self.trace(point, "RELATED", "INGRESS", False, c.dst))
        if self.source and c.src.kind == "pod":
            yield from self.at(
                self.source, packet, self.trace("TO_ENDPOINT", "RELATED", "EGRESS", False, c.src)
            )

    def l7_events(self) -> Iterator[Timed]:
        """Yield requests and responses as the proxy on the deciding side logs them."""
        if not self.l7_side:
            return
        node = self.source if self.l7_side == "egress" else self.target
        there, here = self.forward(), self.back()
        for response, seen in self.wire.l7.log(self.c, self.l7_side.upper(), self.wire.capture.audit):
            yield from self.at(node, here if response else there, seen)
            self.now += self.rng.randrange(100_000, 3_000_000)
