"""Traffic that was delivered and still is nobody's need: hits of port scans, sweeps, and stray probes.

| kind  | seen                                                                                                |
|-------|-----------------------------------------------------------------------------------------------------|
| scan  | one source on many ports in vain, or on many ports of one target, most of them low                    |
| sweep | one source on one port of many targets, most of them in vain                                        |
| probe | a single short visit from outside to a port that nobody else uses, beside a port open to the public; |
|       | a single short call by anybody that was refused                                                     |

In vain is what was dropped, and what was answered by a TCP reset and nothing else. A monitoring system visits many pods
too, but on few ports and with success; a media server or passive FTP is used on many ports, but high ones that answer.
Of a source that scans or sweeps, what it uses far more often than the targets of its scan stays; only the rest is noise.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from statistics import median_low

from flowmine.synth.options import Options
from flowmine.synth.traffic import Link, Spot, SpotKey

__all__ = ["Noise", "find_noise"]

_LOW_PORTS = 1024
_BURST = 10_000_000_000  # nanoseconds
_ONE_VISIT = 12
_TRANSPORTS = frozenset({"TCP", "UDP", "SCTP"})


@dataclass(frozen=True, slots=True)
class Noise:
    """One source's noise: what kind, in whose name, which delivered edges it cost, and the evidence in words.

    ``tried`` are the edges that were not delivered and belong to it; what the source tried far more often is its own need.
    """

    kind: str
    source: Spot
    rows: tuple[int, ...]
    evidence: str
    tried: tuple[int, ...] = ()


def find_noise(
    links: Iterable[Link],
    options: Options,
    title: Callable[[Spot], str],
    lookups: Collection[int] = frozenset(),
) -> tuple[Noise, ...]:
    """Return the noise among links; ``title`` tells how to call an end. Order does not matter.

    ``lookups`` are the rows of questions to a resolver: one that was answered is nobody's scan, however few there are.
    """
    used = [link for link in links if link.protocol in _TRANSPORTS and link.port is not None]
    by_source: dict[SpotKey, list[Link]] = defaultdict(list)
    for link in used:
        by_source[link.source.key].append(link)
    found: list[Noise] = []
    for key in sorted(by_source):
        probing = [link for link in by_source[key] if link.in_vain or link.row not in lookups]
        noise = _of_source(probing, options, title) if probing else None
        if noise:
            found.append(noise)
    taken = {row for noise in found for row in noise.rows}
    rest = [link for link in used if link.row not in taken]
    found.extend(_probes(rest, options, title))
    taken = {row for noise in found for row in noise.rows}
    found.extend(
        _probe(link, title, "which refused it")
        for link in rest
        if link.refused and link.outcome == "delivered" and _is_brief(link) and link.row not in taken
    )
    return tuple(found)


def _of_source(links: list[Link], options: Options, title: Callable[[Spot], str]) -> Noise | None:
    scan = _scan(links, options)
    sweep = [] if scan else _sweep(links, options)
    tried = scan or sweep
    if not tried:
        return None
    usual = max(median_low([link.events for link in tried]), 1)

    def is_stray(link: Link) -> bool:
        return link.events <= options.noise_repeat * usual or _is_brief(link)

    hits = sorted(
        link.row for link in links if link.outcome == "delivered" and (link.refused or is_stray(link))
    )
    vain = sorted(link.row for link in tried if link.outcome != "delivered" and is_stray(link))
    ports = len({(link.protocol, link.port) for link in tried})
    targets = {link.target.key for link in tried}
    where = title(tried[0].target) if len(targets) == 1 else f"{len(targets)} targets"
    evidence = (
        f"{title(links[0].source)} tried {ports} port{'s' * (ports != 1)} of {where}, "
        f"{sum(link.in_vain for link in tried)} of {len(tried)} in vain; {_left_out(len(hits))}"
    )
    return Noise("scan" if scan else "sweep", links[0].source, tuple(hits), evidence, tuple(vain))


def _left_out(count: int) -> str:
    return f"{count:,} delivered edge{'s' * (count != 1)} left out" if count else "none was delivered"


def _scan(links: list[Link], options: Options) -> list[Link]:
    """Return the links by which a source scans: those in vain, and all to a target most of whose ports were tried so."""
    if not options.noise_ports:
        return []
    vain = [link for link in links if link.in_vain]
    if len({(link.protocol, link.port) for link in vain}) >= options.noise_ports:
        return vain
    low = [link for link in links if link.port is not None and link.port < _LOW_PORTS]
    if len({link.port for link in low}) < options.noise_ports:
        return []
    by_target: dict[SpotKey, set[int | None]] = defaultdict(set)
    for link in low:
        by_target[link.target.key].add(link.port)
    scanned = min(
        (key for key, ports in by_target.items() if len(ports) >= options.noise_ports), default=None
    )
    return [link for link in links if link.target.key == scanned]


def _sweep(links: list[Link], options: Options) -> list[Link]:
    by_port: dict[tuple[str, int | None], list[Link]] = defaultdict(list)
    for link in links:
        if link.events <= _ONE_VISIT:  # what calls on and on is monitoring, though half of it is down
            by_port[link.protocol, link.port].append(link)
    swept: list[Link] = []
    for key in sorted(by_port, key=str):
        if len(by_port[key]) < options.noise_targets:
            continue
        targets = {link.target.key for link in by_port[key]}
        reached = {link.target.key for link in by_port[key] if not link.in_vain}
        if 0 < options.noise_targets <= len(targets) and (
            len(targets) - len(reached) >= options.noise_failed * len(targets)
        ):
            swept += by_port[key]
    return swept


def _probes(links: list[Link], options: Options, title: Callable[[Spot], str]) -> list[Noise]:
    """Find stray visits from outside to workloads that also have a port which the public uses."""
    visits: dict[int, dict[tuple[str, int | None], list[Link]]] = defaultdict(lambda: defaultdict(list))
    for link in links:
        if link.target.workload >= 0 and link.outcome == "delivered":
            visits[link.target.workload][link.protocol, link.port].append(link)
    found: list[Noise] = []
    for workload in sorted(visits):
        ports = visits[workload]
        clients = {
            port: {each.source.ip for each in seen if _is_outside(each.source)}
            for port, seen in ports.items()
        }
        if not options.world_clients or max(map(len, clients.values())) < options.world_clients:
            continue
        for port in sorted(ports, key=str):
            if len(clients[port]) <= 1 and all(_is_stray(link) for link in ports[port]):
                found.extend(_probe(link, title, "which nobody else uses") for link in ports[port])
    return found


def _is_outside(spot: Spot) -> bool:
    return spot.workload < 0 and not spot.entity and bool(spot.ip)


def _is_stray(link: Link) -> bool:
    return _is_outside(link.source) and _is_brief(link)


def _is_brief(link: Link) -> bool:
    """Tell whether a link may be one single visit: few events within seconds."""
    if link.events > _ONE_VISIT:
        return False
    return link.first is None or link.last is None or link.last - link.first <= _BURST


def _probe(link: Link, title: Callable[[Spot], str], why: str) -> Noise:
    evidence = (
        f"{title(link.source)} visited {title(link.target)} once on port {link.port}/{link.protocol}, {why}; "
        "1 delivered edge left out"
    )
    return Noise("probe", link.source, (link.row,), evidence)
