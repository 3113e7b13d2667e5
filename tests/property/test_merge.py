"""Whatever people wrote and whatever was seen: a merge lets through what was delivered, opens nothing else, and ends."""

import itertools
import json
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine.advise.merge import Merge, merge
from flowmine.advise.recommend import Recommendation, recommend
from flowmine.edges import COLUMNS, REQUEST_COLUMNS, Edges, aggregate
from flowmine.engine.policyset import PolicySet
from flowmine.ingest import open_flows
from flowmine.policy.codec import to_dict
from flowmine.policy.merge import read_folder
from flowmine.policy.mergewrite import Change, write_changes
from flowmine.policy.model import Entry, Kind, Policy, Rule, Selector
from flowmine.report.merging import changes
from flowmine.report.policies import EvidenceIn
from flowmine.synth.evidence import Witness
from flowmine.synth.options import Options
from flowmine.synth.scope import Per, Scope
from tests.cluster import fence, lines, random_cluster, write
from tests.cluster.model import Cluster

EXTRA_PORTS = (22, 8443)


@dataclass
class World:
    """A random cluster, what a capture of it shows, what is recommended, and a folder that somebody wrote."""

    cluster: Cluster
    edges: Edges
    found: Recommendation
    root: Path
    home: str

    def merge(self) -> tuple[Merge, list[Change]]:
        folder = read_folder(self.root)
        plan = merge(self.found, self.edges, folder, self.home)
        return plan, changes(plan, folder, Witness(self.edges).of, EvidenceIn.COMMENTS)


def less(rng: random.Random, policy: Policy) -> Policy:
    """The policy with some entries, peers and ports left out, as if it had been written before the traffic grew."""

    def entry(one: Entry) -> Entry:
        kept: dict[str, Any] = {}
        for name in ("endpoints", "entities", "cidr", "fqdns"):
            items = getattr(one, name)
            if items and len(items) > 1:
                kept[name] = tuple(rng.sample(items, rng.randint(1, len(items))))
        if one.to_ports:
            kept["to_ports"] = tuple(
                replace(item, ports=tuple(rng.sample(item.ports, rng.randint(1, len(item.ports)))))
                for item in one.to_ports
            )
        return replace(one, **kept)

    def section(entries: tuple[Entry, ...] | None) -> tuple[Entry, ...] | None:
        if entries is None or rng.random() < 0.2:
            return None
        return tuple(entry(one) for one in entries if rng.random() < 0.7) or (Entry(),)

    rules = tuple(
        replace(rule, ingress=section(rule.ingress), egress=section(rule.egress)) for rule in policy.rules
    )
    return replace(policy, rules=tuple(rule for rule in rules if rule.ingress or rule.egress))


def denying(rng: random.Random, policy: Policy) -> Policy:
    """The policy with a deny rule for one of its own peers."""

    def rule(one: Rule) -> Rule:
        entries = [each for each in one.egress or () if each != Entry()]
        return replace(one, egress_deny=(rng.choice(entries),)) if entries else one

    stripped = [replace(each, egress=tuple(map(without_l7, each.egress or ()))) for each in policy.rules]
    return replace(policy, rules=tuple(map(rule, stripped)))


def without_l7(entry: Entry) -> Entry:
    """The entry without requests and names, which deny rules cannot have."""
    if entry.fqdns is not None:
        return Entry()
    return replace(
        entry, to_ports=entry.to_ports and tuple(replace(each, rules=None) for each in entry.to_ports)
    )


def text(rng: random.Random, policies: list[dict[str, Any]]) -> str:
    """Manifests in a layout that somebody may have chosen."""
    layout = rng.randrange(4)
    if layout == 0:
        return json.dumps(
            {"apiVersion": "v1", "kind": "List", "items": policies}, indent=rng.choice((None, 2, 4))
        )
    if layout == 1:
        return yaml.safe_dump_all(policies, default_flow_style=rng.choice((None, True, False)), width=60)
    if layout == 2:
        dumped = yaml.dump(policies, Dumper=_Indented, default_flow_style=False, sort_keys=False)
        return f"# ours\nkind: List\napiVersion: v1\nitems:\n{dumped}"
    return "".join(f"---\n# mine\n{yaml.safe_dump(each, sort_keys=False)}\n  # end\n" for each in policies)


class _Indented(yaml.SafeDumper):
    """Writes lists deeper than their keys."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def world(seed: int, root: Path) -> World:
    """Draw a cluster, record it, and write a folder of policies beside."""
    rng = random.Random(seed)
    cluster = random_cluster(seed)
    capture = root / "capture.jsonl"
    write(capture, lines(cluster, 400))
    options = Options(l7=rng.choice(((), (), ("http",), ("dns",))), dns=rng.choice(("any", "any", "strict")))
    source = open_flows(str(capture), columns=(*COLUMNS, *REQUEST_COLUMNS))
    edges = aggregate(source, requests=True)
    found = recommend(edges, options, Scope(system=True, per=rng.choice(list(Per))))
    written = [to_dict(policy) for policy in _written(rng, found)]
    if rng.random() < 0.4:
        keys = [each.key for each in cluster.workloads if not each.cluster]
        written += [dict(each) for each in fence(cluster, rng.sample(keys, rng.randint(1, len(keys))))]
    folder = root / "policies"
    while written:
        count = rng.randint(1, len(written))
        file = folder / rng.choice(("", "some")) / f"{len(written)}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text(rng, written[:count]))
        written = written[count:]
    return World(cluster, edges, found, folder, cluster.name)


def _written(rng: random.Random, found: Recommendation) -> Iterator[Policy]:
    for policy in found.policies:
        chosen = rng.random()
        if chosen < 0.3:
            continue
        made = policy if chosen < 0.4 else less(rng, policy)
        made = denying(rng, made) if rng.random() < 0.15 else made
        if made.rules:
            yield made if rng.random() < 0.5 else replace(made, name=f"by-hand-{made.name}")


def asked(edges: Edges) -> list[dict[str, Any]]:
    """Every pod to every end on every port that was seen, and a few besides."""
    ends = edges.endpoints.to_pylist()
    addresses: dict[int, set[str | None]] = {each["id"]: set() for each in ends}
    ports = {("TCP", port) for port in EXTRA_PORTS}
    for row in edges.edges.to_pylist():
        addresses.setdefault(row["initiator"], set()).add(row["initiator_ip"])
        addresses.setdefault(row["responder"], set()).add(row["responder_ip"])
        ports.add((row["protocol"], row["port"] or 0))
    parties = [
        {"labels": each["labels"], "ip": ip}
        for each in ends
        if each["labels"]
        for ip in sorted(addresses[each["id"]] or {None}, key=str)[:3]
    ]
    pairs = itertools.product(parties, parties)
    questions = itertools.product(pairs, sorted(ports))
    return [
        {"src": source, "dst": target, "protocol": protocol, "port": port}
        for (source, target), (protocol, port) in questions
    ]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_merge_is_enough_and_no_more_and_ends(seed: int) -> None:
    """Every question let through was let through by the hand-written or the recommended policies; all that was delivered
    passes but where a deny rule says no; nothing that was written is lost; and a second merge changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        here = world(seed, Path(folder))
        before = read_folder(here.root)
        texts = {path: path.read_text() for path in here.root.rglob("*.yaml")}
        plan, made = here.merge()
        write_changes(made)
        after = read_folder(here.root)
        assert () == after.problems
        config = {"cluster_name": here.home, "ipv6": len(here.cluster.families) > 1}
        questions = asked(here.edges)
        _check_excess(before.policies, here.found.policies, after.policies, questions, config)
        for path, old in texts.items():
            assert [] == _lost(old, path.read_text())
        again, nothing = here.merge()
        assert [] == nothing
        assert {each.where for each in plan.contradictions} == {each.where for each in again.contradictions}


def _check_excess(
    before: tuple[Policy, ...],
    recommended: tuple[Policy, ...],
    after: tuple[Policy, ...],
    questions: list[dict[str, Any]],
    config: dict[str, Any],
) -> None:
    def dicts(policies: tuple[Policy, ...], prefix: str = "") -> list[dict[str, Any]]:
        return [to_dict(replace(each, name=prefix + each.name)) for each in policies]

    together = PolicySet.from_dicts([*dicts(before), *dicts(recommended, "r-")], config=config)
    merged = PolicySet.from_dicts(dicts(after), config=config)
    for question, most, now in zip(
        questions, together.verdicts(questions), merged.verdicts(questions), strict=True
    ):
        for side in ("egress", "ingress"):
            assert (question, most[side]) == (question, now[side])


def _lost(old: str, new: str) -> list[str]:
    """The lines of a block text that are gone or out of order; brackets may have become lines, or grown."""
    if old.lstrip()[:1] == "{":
        return []
    rest = iter(new.splitlines())
    return [
        line for line in old.splitlines() if not any(sign in line for sign in "[]{}") and line not in rest
    ]


def test_every_layout_holds_what_it_was_given() -> None:
    """The layouts that the property draws from all say the policies that they are made of."""
    rule = Rule(endpoint_selector=Selector.of({"app": "web"}), egress=(Entry(entities=("world",)),))
    manifest = to_dict(Policy(Kind.CNP, "web", namespace="shop", rules=(rule,)))
    rng = random.Random(1)
    for _ in range(20):
        documents = [each for each in yaml.safe_load_all(text(rng, [manifest, manifest])) if each]
        assert [manifest, manifest] == [one for each in documents for one in each.get("items", [each])]
