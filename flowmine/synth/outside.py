"""Rules for peers outside the cluster: by name, by CIDR, or as the whole world.

| seen                                                   | written                                                     |
|--------------------------------------------------------|-------------------------------------------------------------|
| egress, the subject asked for a name                   | toFQDNs with that name, or a pattern over many (`names`)     |
| address in a block that `--known` names                | the block                                                   |
| ingress, many unrelated public clients of a port       | the entity world, for that port                             |
| any other address                                      | CIDRs, collapsed, widened within the budget (`cidrs`)        |
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_network

from flowmine.policy.portrule import FqdnSelector
from flowmine.ports import EMPTY, PortSet
from flowmine.synth.cidrs import Address, Network, address, collapse, is_public, site
from flowmine.synth.names import NamedPorts, external, fold
from flowmine.synth.options import Generalisation, Known, Options
from flowmine.synth.ranges import bands

__all__ = ["OutsideEnd", "OutsideRule", "egress_rules", "ingress_rules", "unnameable"]


@dataclass(frozen=True, slots=True)
class OutsideEnd:
    """One address beyond the cluster on one side of one subject.

    `ports` are the subject's own for ingress and the address's for egress; `names` those that this subject asked for
    when it got the address, none on ingress; `labels` as Cilium writes them; `events` a count.
    """

    ip: str
    ports: PortSet
    names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    events: int = 0
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class OutsideRule:
    """One peer part with its ports: exactly one of `fqdns`, `cidrs` and `entities` is given.

    `members` are the addresses seen behind it, sorted; `names` what `--known` calls its blocks; `unnamed` tells that it
    is by address although a name would be better (egress); `notes` every generalisation made.
    """

    ports: PortSet
    members: tuple[str, ...]
    fqdns: tuple[FqdnSelector, ...] = ()
    cidrs: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    unnamed: bool = False
    notes: tuple[Generalisation, ...] = ()


def egress_rules(ends: Iterable[OutsideEnd], options: Options) -> tuple[OutsideRule, ...]:
    """Return the rules by which one subject may reach these addresses, and as little else as the options allow.

    An end whose `ip` is no address is left out (see `unnameable`).
    """
    places = _places(ends)
    named = {one: end for one, end in places.items() if external(end.names, options.cluster_domain)}
    rest = {one: end.ports for one, end in places.items() if one not in named}
    rules = _by_name(named, options)
    for rule in _by_address(rest, options):
        ports, notes = bands(rule.ports, options).widen(rule.ports)
        rules.append(replace(rule, ports=ports, notes=rule.notes + notes, unnamed=not rule.names))
    return _ordered(rules)


def ingress_rules(ends: Iterable[OutsideEnd], options: Options) -> tuple[OutsideRule, ...]:
    """Return the rules by which these addresses may reach one subject, and as little else as the options allow.

    An end whose `ip` is no address is left out (see `unnameable`).
    """
    places = {one: end.ports for one, end in _places(ends).items()}
    listener = bands(PortSet.union(places.values()), options)
    places = {one: listener.widen(ports)[0] for one, ports in places.items()}
    strangers = {one: ports for one, ports in places.items() if _known(one, options) is None}
    public, why = _public_ports(strangers, listener.ports, options)
    rules = []
    if public:
        members = _texts(one for one, ports in strangers.items() if ports & public)
        rules.append(OutsideRule(ports=public, members=members, entities=("world",), notes=why))
    # An address that somebody named keeps its own rule: it says more, and stays when the entry is no longer public.
    left = {one: ports - public if one in strangers else ports for one, ports in places.items()}
    rules += _by_address(left, options)
    return _ordered(replace(rule, notes=rule.notes + listener.widen(rule.ports)[1]) for rule in rules)


def unnameable(ends: Iterable[OutsideEnd]) -> tuple[OutsideEnd, ...]:
    """Return the ends without a usable address, which no rule can be written for."""
    return tuple(end for end in ends if address(end.ip) is None)


def _places(ends: Iterable[OutsideEnd]) -> dict[Address, OutsideEnd]:
    """The ends by address; one told several times (mapped into IPv6, several labels) becomes one."""
    places: dict[Address, OutsideEnd] = {}
    for end in ends:
        one = address(end.ip)
        if one is None:
            continue
        before = places.get(one)
        if before is not None:
            names = tuple(sorted({*before.names, *end.names}))
            end = replace(before, ports=before.ports | end.ports, names=names)
        places[one] = end
    return places


def _by_name(places: Mapping[Address, OutsideEnd], options: Options) -> list[OutsideRule]:
    """The rules of addresses with names: all the names of an address are told, for any may be the one meant."""
    ports: dict[str, PortSet] = {}
    behind: dict[str, set[Address]] = defaultdict(set)
    for one, end in places.items():
        for name in external(end.names, options.cluster_domain):
            ports[name] = ports.get(name, EMPTY) | end.ports
            behind[name].add(one)
    listeners = {each: bands(each, options) for each in set(ports.values())}
    ranges = {name: listeners[each] for name, each in ports.items()}
    ports = {name: ranges[name].widen(each)[0] for name, each in ports.items()}
    groups: dict[PortSet, list[NamedPorts]] = defaultdict(list)
    for each in fold(ports, options):
        groups[each.ports].append(each)
    rules = []
    for shared, group in groups.items():
        names = sorted({name for each in group for name in each.members})
        notes = [note for each in group for note in each.notes]
        notes += (note for name in names for note in ranges[name].widen(shared)[1] if note not in notes)
        members = _texts(one for name in names for one in behind[name])
        fqdns = tuple(sorted({each.selector for each in group}, key=str))
        rules.append(
            OutsideRule(ports=shared, members=members, fqdns=fqdns, notes=tuple(dict.fromkeys(notes)))
        )
    return rules


def _by_address(places: Mapping[Address, PortSet], options: Options) -> list[OutsideRule]:
    """The rules of addresses without names: the blocks a person named whole, the rest collapsed."""
    named: dict[Known, PortSet] = {}
    behind: dict[Known, list[Address]] = defaultdict(list)
    rest: dict[PortSet, list[Address]] = defaultdict(list)
    for one, ports in places.items():
        known = _known(one, options)
        if known is not None:
            named[known] = named.get(known, EMPTY) | ports
            behind[known].append(one)
        elif ports:
            rest[ports].append(one)
    rules = [_of_block(known, ports, behind[known]) for known, ports in named.items() if ports]
    for ports, members in rest.items():
        cidrs, notes = collapse(members, options)
        rules.append(OutsideRule(ports=ports, members=_texts(members), cidrs=cidrs, notes=notes))
    return rules


def _of_block(known: Known, ports: PortSet, members: Sequence[Address]) -> OutsideRule:
    size = ip_network(known.cidr).num_addresses
    note = Generalisation(
        "known", known.cidr, f"{len(members)} of its {size} addresses seen", f"known: {known.name}"
    )
    notes = (note,) if len(members) < size else ()
    return OutsideRule(ports, _texts(members), cidrs=(known.cidr,), names=(known.name,), notes=notes)


@lru_cache(maxsize=4)
def _blocks(known: tuple[Known, ...]) -> tuple[tuple[Network, Known], ...]:
    blocks = ((ip_network(each.cidr), each) for each in known)
    return tuple(sorted(blocks, key=lambda block: (-block[0].prefixlen, block[1])))


def _known(one: Address, options: Options) -> Known | None:
    """The smallest block with a name that holds the address."""
    return next((each for network, each in _blocks(options.known) if one in network), None)


def _public_ports(
    places: Mapping[Address, PortSet], ranges: PortSet, options: Options
) -> tuple[PortSet, tuple[Generalisation, ...]]:
    """The ports that so many unrelated public clients use that they are meant for everybody, and why."""

    @lru_cache(maxsize=1024)
    def atoms(ports: PortSet) -> tuple[PortSet, ...]:
        whole = (PortSet((interval,)) for interval in (ports & ranges).intervals)
        return (*whole, *(PortSet.of([port]) for port in ports - ranges))

    clients: dict[PortSet, set[Address]] = defaultdict(set)
    for one, ports in places.items():
        if is_public(one):
            for part in atoms(ports):
                clients[part].add(one)
    found = {ports: why for ports, who in clients.items() if (why := _crowd(who, options))}
    crowd = {one for ports in found for one in clients[ports]}
    if crowd and options.world_companion:
        for ports, who in clients.items():
            if ports not in found and options.world_companion <= len(who) < 2 * len(who & crowd):
                found[ports] = f"world_companion={options.world_companion}"
    notes = tuple(
        Generalisation("world", f"world on {ports}", _gathering(clients[ports]), found[ports])
        for ports in sorted(found)
    )
    return PortSet.union(found), notes


def _crowd(clients: Collection[Address], options: Options) -> str:
    """The threshold by which these clients are a crowd of strangers; empty where they are not."""
    if not options.world_clients:
        return ""
    if len(clients) >= options.world_clients:
        return f"world_clients={options.world_clients}"
    spread = len({site(one) for one in clients}) >= options.world_spread > 0
    return (
        f"world_spread={options.world_spread}"
        if spread and 4 * len(clients) >= 3 * options.world_clients
        else ""
    )


def _gathering(clients: Collection[Address]) -> str:
    sites = len({site(one) for one in clients})
    return (
        f"{len(clients)} public clients from {sites} network{'s' if sites != 1 else ''} (IPv4 /16, IPv6 /32)"
    )


def _texts(addresses: Iterable[Address]) -> tuple[str, ...]:
    return tuple(str(one) for one in sorted(set(addresses), key=lambda each: (each.version, int(each))))


def _ordered(rules: Iterable[OutsideRule]) -> tuple[OutsideRule, ...]:
    """Names first, then addresses, then the world; each by its ports and peers."""
    kept = (rule for rule in rules if rule.ports)
    return tuple(
        sorted(
            kept,
            key=lambda rule: (bool(rule.entities), bool(rule.cidrs), rule.ports, str(rule.fqdns), rule.cidrs),
        )
    )
