"""The single changes that may be offered for what one side lacks.

| kind   | change                                                              | of                                |
|--------|---------------------------------------------------------------------|-----------------------------------|
| append | a rule that selects all that lack it gets one more entry            | every such rule, all three kinds  |
| port   | an entry that means all the peers already gets the port             | every such entry                  |
| peer   | an entry for exactly this port gets the peers                       | every such entry                  |
| http   | an entry that filters these requests, or names, gets them           | every such entry                  |
| new    | a policy for the workload alone                                     | one                               |
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from flowmine.advise.admitentries import (
    Home,
    Need,
    entries,
    entry_manifest,
    k8s_entries,
    with_entries,
)
from flowmine.advise.admitops import END, Op, Path, add, value_at
from flowmine.advise.recorded import Recorded
from flowmine.advise.standpoint import Standpoint
from flowmine.engine import knp, lowering
from flowmine.engine.entries import LoweredEntry, Subject
from flowmine.labels import NAMESPACE_KEY
from flowmine.policy.codec import from_dict, to_dict
from flowmine.policy.model import (
    DefaultDeny,
    Direction,
    Entry,
    Kind,
    L7Rules,
    Policy,
    PortRule,
    Rule,
    Selector,
)
from flowmine.ports import ICMP
from flowmine.synth.lower import LIMIT
from flowmine.synth.naming import dns_name
from flowmine.synth.options import Options
from flowmine.synth.traffic import Spot

__all__ = ["Action", "Candidate", "candidates", "created", "raw_rule"]

_OWN_POLICY_FROM = (1, 16)


class Action(StrEnum):
    """What is done to a policy."""

    EXTEND = "extend"
    CREATE = "create"
    NARROW = "narrow"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One change to one policy.

    ``manifest`` is the policy's before the ``ops`` (for a new one: all of it, and no operations); ``place`` a JSON path
    in it; ``shown`` what is added or taken away; ``subject`` whom it concerns and ``adds`` what it admits, as the engine reads it.
    """

    action: Action
    ref: str
    manifest: Mapping[str, Any]
    ops: tuple[Op, ...]
    place: str
    shown: Any
    direction: Direction
    subject: Subject
    adds: tuple[LoweredEntry, ...]

    @property
    def broad(self) -> bool:
        """Whether its rule selects by namespace only, or admits anybody: then those not seen yet are concerned too."""
        own = [term for term in self.subject.terms if term.key != NAMESPACE_KEY]
        return not own or any(entry.peers is None for entry in self.adds)


def raw_rule(manifest: Mapping[str, Any], rule: str) -> Path:
    """Return where a manifest as written holds a rule (`spec`, `specs[1]`): the codec counts `spec` as the first.

    >>> raw_rule({"kind": "CiliumNetworkPolicy", "spec": {}, "specs": [{}]}, "specs[1]")
    ('specs', 0)
    """
    number = _rule_number(rule)
    if manifest["kind"] == Kind.KNP or ("spec" in manifest and number == 0):
        return ("spec",)
    return ("specs", number - ("spec" in manifest))


def _rule_number(rule: str) -> int:
    return int(rule.removeprefix("specs[").removesuffix("]")) if rule != "spec" else 0


def candidates(
    known: Recorded,
    here: Standpoint,
    manifests: Mapping[str, Mapping[str, Any]],
    need: Need,
    options: Options,
) -> Iterator[Candidate]:
    """Yield every single change to the policies that may admit what a side lacks, each a different one."""
    subjects = [here.people.place(known, need.subject(link), need.peer(link)) for link in need.links]
    for key in here.governed.rules:
        policy = here.by_ref[key[0]]
        if here.governed.selected(key)[subjects].all() and policy.ref in manifests:
            yield from _of_rule(known, here, manifests[policy.ref], policy, key, need, options)


def _of_rule(
    known: Recorded,
    here: Standpoint,
    manifest: Mapping[str, Any],
    policy: Policy,
    key: tuple[str, str],
    need: Need,
    options: Options,
) -> Iterator[Candidate]:
    path = raw_rule(manifest, key[1])
    wanted = _wanted(known, here, policy, key[1], need, options)
    if wanted is not None:
        entry_list, lowered = wanted
        ops = _appended(manifest, path, need.direction, entry_list)
        yield _extension(manifest, policy, path, need, ops, entry_list, lowered)
        yield from _same_port(manifest, policy, path, need, entry_list, lowered)
    peers = [here.people.place(known, need.peer(link), need.subject(link)) for link in need.links]
    for number, entry in enumerate(_allowing(here, key, need.direction)):
        if here.peers(entry)[peers].all():
            for ops, shown in _into_entry(manifest, (*path, need.direction.value, number), need):
                yield _extension(manifest, policy, path, need, ops, shown, (entry,), f"[{number}]")


def _allowing(here: Standpoint, key: tuple[str, str], direction: Direction) -> list[LoweredEntry]:
    policy, rule = key
    return [
        entry
        for entry in here.policies.index.entries
        if entry.origin.policy == policy and entry.origin.path.startswith(f"{rule}.{direction.value}[")
    ]


def _extension(
    manifest: Mapping[str, Any],
    policy: Policy,
    path: Path,
    need: Need,
    ops: tuple[Op, ...],
    shown: Any,
    adds: tuple[LoweredEntry, ...],
    entry: str = "",
) -> Candidate:
    rule = "".join(f"[{part}]" if isinstance(part, int) else part for part in path)
    place = f"{rule}.{need.direction}{entry}"
    return Candidate(
        Action.EXTEND, policy.ref, manifest, ops, place, shown, need.direction, adds[0].subject, adds
    )


def _wanted(
    known: Recorded,
    here: Standpoint,
    policy: Policy,
    rule: str,
    need: Need,
    options: Options,
) -> tuple[list[dict[str, Any]], tuple[LoweredEntry, ...]] | None:
    """Return the entries that a rule of the policy would need, as manifests and as the engine reads them."""
    config = here.policies.config
    cluster = config.cluster_name
    if policy.kind is Kind.KNP:
        shown = k8s_entries(known, need, (cluster, policy.namespace or "default"), options)
        if not shown:
            return None
        spec = {"podSelector": to_dict(policy)["spec"]["podSelector"], need.direction.value: shown}
        made = from_dict({**to_dict(policy), "spec": spec})
        return shown, tuple(knp.lower(made, config)) if isinstance(made, Policy) else ()
    home: Home | None = None if policy.kind is Kind.CCNP else (cluster, policy.namespace or "default")
    some = entries(known, need, home, options)
    own = policy.rules[_rule_number(rule)]
    probe = replace(policy, rules=(with_entries(own, need.direction, some),))
    return [entry_manifest(need.direction, each) for each in some], tuple(lowering.lower(probe, config, {}))


def _appended(
    manifest: Mapping[str, Any], path: Path, direction: Direction, shown: list[Any]
) -> tuple[Op, ...]:
    """Append entries to a direction's list, or begin it.

    A NetworkPolicy that names its `policyTypes` must name the direction: Cilium does not look at them (SEMANTICS 10), others do.
    """
    spec = value_at(manifest, path)
    where = (*path, direction.value)
    ops: tuple[Op, ...] = (add(where, shown),)
    if isinstance(spec.get(direction.value), list):
        ops = tuple(add((*where, END), each) for each in shown)
    types = spec.get("policyTypes")
    if manifest["kind"] == Kind.KNP and types and direction.value.capitalize() not in types:
        ops = (*ops, add((*path, "policyTypes", END), direction.value.capitalize()))
    return ops


def _same_port(
    manifest: Mapping[str, Any],
    policy: Policy,
    path: Path,
    need: Need,
    shown: list[dict[str, Any]],
    lowered: tuple[LoweredEntry, ...],
) -> Iterator[Candidate]:
    """Add the peers to an entry that has peers of the same kind and exactly the same ports."""
    if len(shown) != 1:
        return
    field = next(iter(shown[0]))
    rest = {name: value for name, value in shown[0].items() if name != field}
    for number, raw in enumerate(value_at(manifest, path).get(need.direction.value) or ()):
        same = raw.get(field) and {name: value for name, value in raw.items() if name != field} == rest
        if same and field != "toPorts":
            where = (*path, need.direction.value, number)
            ops = (
                *_test(manifest, where, raw),
                *(add((*where, field, END), each) for each in shown[0][field]),
            )
            peers = {field: shown[0][field]}
            yield _extension(manifest, policy, path, need, ops, peers, lowered, f"[{number}]")


def _test(manifest: Mapping[str, Any], where: Path, raw: Any) -> tuple[Op, ...]:
    """Return the test that an entry is still the one meant; in a NetworkPolicy the API server fills in defaults."""
    return () if manifest["kind"] == Kind.KNP else (Op("test", where, raw),)


def _into_entry(
    manifest: Mapping[str, Any], where: Path, need: Need
) -> Iterator[tuple[tuple[Op, ...], dict[str, Any]]]:
    """Yield what an entry that already means the peers would need: the port, or the requests."""
    raw = value_at(manifest, where)
    test = _test(manifest, where, raw)
    if need.http or need.dns:
        for number, item in enumerate(raw.get("toPorts") or ()):
            for ops, shown in _requests_into((*where, "toPorts", number), item, need):
                yield (*test, *ops), shown
    elif need.protocol in ICMP:
        if raw.get("icmps"):
            field = {"family": need.protocol.replace("ICMP", "IP"), "type": need.port}
            yield (*test, add((*where, "icmps", END), {"fields": [field]})), {"icmps": [{"fields": [field]}]}
    elif raw.get("ports"):
        port = {"port": need.port, "protocol": need.protocol}
        yield (*test, add((*where, "ports", END), port)), {"ports": [port]}
    elif raw.get("toPorts"):
        yield (*test, _port_into(where, raw["toPorts"], need)), {"toPorts": [{"ports": [_port(need)]}]}


def _port(need: Need) -> dict[str, Any]:
    return {"port": str(need.port), "protocol": need.protocol}


def _port_into(where: Path, items: list[dict[str, Any]], need: Need) -> Op:
    """Add the port to the last plain `toPorts` item that has room, else as an item of its own."""
    plain = [
        number
        for number, each in enumerate(items)
        if set(each) == {"ports"} and 0 < len(each["ports"] or ()) < LIMIT
    ]
    if plain:
        return add((*where, "toPorts", plain[-1], "ports", END), _port(need))
    return add((*where, "toPorts", END), {"ports": [_port(need)]})


def _requests_into(
    where: Path, item: Mapping[str, Any], need: Need
) -> Iterator[tuple[tuple[Op, ...], dict[str, Any]]]:
    """Yield the requests or names as rules of a `toPorts` item that filters this port."""
    kind, wanted = ("http", need.http) if need.http else ("dns", need.dns)
    rules = (item.get("rules") or {}).get(kind)
    numbers = {str(port.get("port")) for port in item.get("ports") or ()}
    if not rules or str(need.port) not in numbers:
        return
    made = entry_manifest(
        need.direction, Entry(to_ports=(PortRule(rules=L7Rules(http=need.http, dns=need.dns)),))
    )["toPorts"][0]["rules"][kind]
    if wanted:
        yield tuple(add((*where, "rules", kind, END), each) for each in made), {"rules": {kind: made}}


def created(known: Recorded, here: Standpoint, need: Need, options: Options) -> Candidate | None:
    """Return the new policy for the workload (or node) alone that admits what it lacks; None where none can be written.

    It never closes a direction for anybody: where it would, `enableDefaultDeny` says so, from Cilium 1.16 on.
    """
    config = here.policies.config
    first = need.subject(need.links[0])
    if first.workload >= 0:
        item = known.scene.workloads.items[first.workload]
        kind, namespace, name = Kind.CNP, item.namespace, item.name
        rule = Rule(endpoint_selector=known.scene.choices[first.workload].selector)
        home: Home | None = (config.cluster_name, namespace)
    else:
        found = _entity_rule(known, first)
        if found is None:
            return None
        kind, namespace, home, name, rule = Kind.CCNP, None, None, first.entity, found
    some = entries(known, need, home, options)
    made = with_entries(rule, need.direction, some)
    digest = blake2b(repr(made).encode(), digest_size=4).hexdigest()
    policy = Policy(kind, f"{dns_name(name)}-{need.direction}-{digest}", namespace, rules=(made,))
    lowered = tuple(lowering.lower(policy, config, {}))
    selected = here.subjects(lowered[0].subject).nonzero()[0].tolist()
    if not all(here.closed(place, need.direction) for place in selected):
        if options.cilium < _OWN_POLICY_FROM:
            return None
        off = DefaultDeny(egress=False) if need.direction is Direction.EGRESS else DefaultDeny(ingress=False)
        policy = replace(policy, rules=(replace(made, enable_default_deny=off),))
    shown = [entry_manifest(need.direction, each) for each in some]
    return Candidate(
        Action.CREATE, policy.ref, to_dict(policy), (), f"spec.{need.direction}", shown, need.direction,
        lowered[0].subject, lowered,
    )  # fmt: skip


def _entity_rule(known: Recorded, spot: Spot) -> Rule | None:
    """Return the rule that selects a node by its labels, or another local entity; None where labels do not tell it."""
    party = known.scene.universe.party(spot.party)
    if spot.entity != "host":
        return Rule(endpoint_selector=Selector.of({f"reserved:{spot.entity}": ""})) if spot.entity else None
    own = {label.key: label.value for label in party.labels if label.source == "k8s"} if party else {}
    hostname = {key: value for key, value in own.items() if key == "kubernetes.io/hostname"}
    return Rule(node_selector=Selector.of(hostname or own)) if own else None
