"""The rules by which a subject may ask its resolvers, and learn the addresses behind the names of its FQDN rules."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

from flowmine.policy.model import Entry, FqdnSelector, Selector
from flowmine.ports import PortSet
from flowmine.synth.contacts import Contacts, Peer
from flowmine.synth.dns import DnsRule, dns_rule
from flowmine.synth.draft import Draft, Reason
from flowmine.synth.lower import join_selectors
from flowmine.synth.options import Options

__all__ = ["both_transports", "resolver_drafts", "usual_resolvers"]

_PLACE = -1
"""Lookups come first in a policy: everything else that goes by name rests on them."""


def usual_resolvers(contacts: Iterable[Contacts]) -> Contacts:
    """Return the resolver that most subjects ask: what one whose own lookups were not seen will ask as well.

    Only the ports are kept, for none of the edges is its own.
    """
    counts: Counter[tuple[str, int | str]] = Counter()
    ports: dict[tuple[str, int | str], PortSet] = {}
    for each in contacts:
        for kind in ("workloads", "entities", "outside"):
            for name, peer in getattr(each, kind).items():
                counts[kind, name] += 1
                ports[kind, name] = ports.get((kind, name), PortSet()) | peer.ports
    found = Contacts()
    if counts:
        kind, name = min(counts, key=lambda one: (-counts[one], one[0] != "workloads", str(one)))
        getattr(found, kind)[name] = Peer({port: [] for port in ports[kind, name]})
    return found


def resolver_drafts(
    lookups: Contacts,
    fqdns: tuple[FqdnSelector, ...],
    asked: frozenset[str],
    namespace: str,
    options: Options,
    name_pod: Callable[[int], tuple[str, Selector]],
) -> list[Draft]:
    """Return the rules to the resolvers of one subject; ``name_pod`` gives a workload's title and selector."""
    learnt = fqdns
    if not fqdns and "dns" in options.l7:
        learnt = tuple(FqdnSelector(match_name=name) for name in sorted(asked)) or (
            FqdnSelector(match_pattern="*"),
        )
    kinds: tuple[tuple[str, Mapping[int | str, Peer]], ...] = (
        ("workloads", dict(lookups.workloads.items())),
        ("entities", dict(lookups.entities.items())),
        ("outside", dict(lookups.outside.items())),
    )
    drafts = []
    for kind, peers in kinds:
        groups: dict[DnsRule, list[int | str]] = defaultdict(list)
        for name in sorted(peers, key=str):
            groups[dns_rule(peers[name].ports, learnt, asked, namespace, options)].append(name)
        for rule, members in groups.items():
            rows = sorted(row for name in members for row in peers[name].all_rows())
            titles, entry = _peers(kind, members, name_pod)
            seen = PortSet.union(peers[name].ports for name in members if peers[name].all_rows())
            reason = Reason(
                about=f"name lookups at {', '.join(titles)}",
                rows=tuple(rows),
                required=_required(rule, fqdns, seen),
                notes=rule.notes,
            )
            drafts.append(Draft((_PLACE, titles[0]), entry, rule.ports, reason, dns=rule.names or None))
    return drafts


def _peers(
    kind: str, members: list[int | str], name_pod: Callable[[int], tuple[str, Selector]]
) -> tuple[list[str], Entry]:
    if kind == "workloads":
        named = [name_pod(each) for each in members if isinstance(each, int)]
        return sorted(title for title, _ in named), Entry(endpoints=join_selectors(one for _, one in named))
    texts = [str(each) for each in members]
    if kind == "entities":
        return texts, Entry(entities=tuple(texts))
    return texts, Entry(cidr=tuple(f"{text}/{128 if ':' in text else 32}" for text in texts))


def _required(rule: DnsRule, fqdns: tuple[FqdnSelector, ...], seen: PortSet) -> str:
    why = []
    if fqdns and rule.names:
        why.append("the rules by name learn their addresses from these answers")
    if not seen:
        why.append("its own lookups were not seen, this is the resolver that others ask")
    elif unseen := rule.ports - seen:
        why.append(f"{unseen} takes the answers too long for the other")
    return "; ".join(why)


def both_transports(peer: Peer, lookups: frozenset[int]) -> PortSet:
    """Return the ports on which a peer asks for names, each over UDP and TCP."""
    numbers = {number for (_, number), rows in peer.rows.items() if not lookups.isdisjoint(rows)}
    return PortSet.of((protocol, number) for number in numbers for protocol in ("UDP", "TCP"))
