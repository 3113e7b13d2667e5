"""The change that admits a drop admits exactly that and what it says, whatever the policies; and none smaller is there."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine import PolicySet
from flowmine.advise.admitedits import combined
from flowmine.advise.drops import Drop, drops
from flowmine.advise.inforce import in_force
from flowmine.advise.recorded import recorded
from flowmine.edges import Edges
from flowmine.policy.files import Document
from flowmine.schema import REASONS
from tests.property.test_engine import Manifest, policy_sets
from tests.synth.made import END, START, Capture, End, place, pod

APPS, NAMESPACES = ("web", "db"), ("shop", "bank")
PODS = [pod(ns, f"{app}-{ns}-0", f"Deployment/{app}-{ns}", app=app) for app in APPS for ns in NAMESPACES]
PLACES = [
    place("reserved:world", ip="10.1.2.3"),
    place("reserved:world", ip="192.0.2.7"),
    place("reserved:remote-node"),
]
PORTS = (("TCP", 80), ("TCP", 8080), ("UDP", 53), ("TCP", 50))
ENDS = [*PODS, *PLACES]


def party(end: End) -> Manifest:
    """The end as a query names it."""
    return {"labels": list(end.endpoint.labels), **({"ip": end.ip} if end.ip else {})}


def query(source: End, target: End, protocol: str, port: int) -> Manifest:
    """The connection as a query."""
    return {"src": party(source), "dst": party(target), "protocol": protocol, "port": port}


def everything() -> Iterator[tuple[End, End, str, int]]:
    """Every connection of the universe that has a pod at one end."""
    for source in ENDS:
        for target in ENDS:
            if source in PODS or target in PODS:
                yield from ((source, target, protocol, port) for protocol, port in PORTS)


def answers(objects: list[Manifest], asked: list[tuple[End, End, str, int]]) -> list[Manifest]:
    """What the engine says of connections."""
    return PolicySet.from_dicts(objects).verdicts([query(*each) for each in asked])


def capture_of(dropped: tuple[End, End, str, int], side: str) -> Edges:
    """A capture in which one connection was dropped and, so that all ports are in use, others were delivered."""
    made = Capture().add(*ENDS)
    source, target, protocol, port = dropped
    made.talk(source, target, port, protocol, outcome="dropped", events=3)
    others = [(PODS[0], PODS[0], *where) for where in PORTS] + [(each, PODS[0], *PORTS[0]) for each in PLACES]
    for one, other, name, number in others:
        if (one, other, name, number) != dropped:
            made.talk(one, other, number, name)
    reason = {
        "edge": 0,
        "side": side,
        "drop_reason": "POLICY_DENIED",
        "count": 3,
        "first": START,
        "last": END,
    }
    return replace(made.edges(), reasons=pa.Table.from_pylist([reason], schema=REASONS))


def advised(
    objects: list[Manifest], dropped: tuple[End, End, str, int], side: str
) -> tuple[Edges, Drop, Any]:
    """The one drop of such a capture, with the policies as they were given."""
    edges = capture_of(dropped, side)
    documents = [Document("policies.yaml", number, 1, value) for number, value in enumerate(objects, 1)]
    policies = in_force(documents, unknown="prune")
    report = drops(edges, policies)
    assert len(report.drops) == 1
    return edges, report.drops[0], policies


@st.composite
def denied(draw: st.DrawFn) -> tuple[list[Manifest], tuple[End, End, str, int], str]:
    """Policies, a connection that they deny, and the first side that does."""
    objects = draw(policy_sets())
    asked = list(everything())
    said = answers(objects, asked)
    refused = [
        (each, next(side for side in ("egress", "ingress") if answer[side] in ("denied", "deny-rule")))
        for each, answer in zip(asked, said, strict=True)
        if answer["verdict"] == "denied" and "error" not in answer
    ]
    if not refused:
        return objects, next(everything()), ""
    connection, side = draw(st.sampled_from(refused))
    return objects, connection, side


def ends_of(
    known: Any, also: Any
) -> tuple[tuple[str, ...], str | None, tuple[str, ...], str | None, str, int]:
    """A connection that the report tells of, in terms of labels and addresses."""
    ends = []
    for spot in (also.source, also.target):
        labels = tuple(sorted(str(label) for label in known.scene.universe.party(spot.party).labels))
        ends += [labels, spot.ip or None]
    return (*ends, also.protocol, also.port)  # type: ignore[return-value]


def told_as(each: tuple[End, End, str, int]) -> tuple[Any, ...]:
    """A connection of the universe in the same terms."""
    source, target, protocol, port = each
    ends = (
        tuple(sorted(source.endpoint.labels)),
        source.ip,
        tuple(sorted(target.endpoint.labels)),
        target.ip,
    )
    return (*ends, protocol, port)


@given(denied())
@settings(deadline=None, max_examples=60)
def test_a_change_admits_the_group_and_what_it_says(case: tuple[list[Manifest], Any, str]) -> None:
    """Policies and proposed change let through the drop and what the report said else, and deny nothing that passed."""
    objects, dropped, side = case
    if not side:
        return
    edges, drop, policies = advised(objects, dropped, side)
    if drop.admission is None:
        assert any(answer == "deny-rule" for answer in answers(objects, [dropped])[0].values())
        return
    changed = {
        ref: dict(manifest) for ref, (manifest, _) in combined([(drop.admission, "")], policies).items()
    }
    assert changed == {edit.ref: dict(edit.manifest) for edit in drop.edits}
    after = [each for each in objects if _ref(each) not in changed] + list(changed.values())
    asked = list(everything())
    was, now = answers(objects, asked), answers(after, asked)
    opened = {
        told_as(each)
        for each, old, new in zip(asked, was, now, strict=True)
        if old["verdict"] != "allowed" and new["verdict"] == "allowed"
    }
    lost = [
        each
        for each, old, new in zip(asked, was, now, strict=True)
        if old["verdict"] == "allowed" != new["verdict"]
    ]
    known = recorded(edges)
    assert drop.admission.whole
    assert {told_as(dropped)} | {ends_of(known, each) for each in drop.admission.also} == opened
    assert lost == []


def _ref(manifest: Manifest) -> str:
    namespace = manifest["metadata"].get("namespace", "")
    return f"{manifest['kind']}/{namespace}/{manifest['metadata']['name']}"


@given(denied())
@settings(deadline=None, max_examples=60)
def test_no_smaller_addition_is_there(case: tuple[list[Manifest], Any, str]) -> None:
    """No policy extended by the same rule, and no new policy for the workload, opens its side to fewer than the one chosen."""
    objects, dropped, side = case
    before = answers(objects, [dropped])[0] if side else {}
    lacking = [each for each in ("egress", "ingress") if before.get(each) == "denied"]
    if len(lacking) != 1 or "deny-rule" in (before["egress"], before["ingress"]):
        return
    direction = lacking[0]
    _, drop, _ = advised(objects, dropped, side)
    if dropped[0 if direction == "ingress" else 1] in PLACES[:2] and drop.admission is None:
        return
    assert drop.admission is not None
    counts = [
        count
        for variant in additions(objects, dropped, direction)
        if (count := opened_at(objects, variant, dropped, direction)) is not None
    ]
    assert counts
    assert drop.admission.opens <= min(counts)


def additions(
    objects: list[Manifest], dropped: tuple[End, End, str, int], direction: str
) -> Iterator[list[Manifest]]:
    """Yield the policies with the plain rule added to each spec, or as a policy of the workload's own."""
    source, target, protocol, port = dropped
    own, peer = (source, target) if direction == "egress" else (target, source)
    entry: Manifest = {"toPorts": [{"ports": [{"port": str(port), "protocol": protocol}]}]}
    way = "to" if direction == "egress" else "from"
    labels = dict(label.removeprefix("k8s:").split("=") for label in peer.endpoint.labels if "=" in label)
    if peer.ip:
        entry[f"{way}CIDR"] = [f"{peer.ip}/32"]
    elif peer in PODS:
        entry[f"{way}Endpoints"] = [{"matchLabels": labels}]
    else:
        entry[f"{way}Entities"] = ["remote-node"]
    for number, manifest in enumerate(objects):
        changed = deepcopy(manifest)
        changed["spec"].setdefault(direction, []).append(entry)
        yield [*objects[:number], changed, *objects[number + 1 :]]
    mine = dict(label.removeprefix("k8s:").split("=") for label in own.endpoint.labels)
    yield [
        *objects,
        {
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumNetworkPolicy",
            "metadata": {"name": "own", "namespace": mine["io.kubernetes.pod.namespace"]},
            "spec": {"endpointSelector": {"matchLabels": {"app": mine["app"]}}, direction: [entry]},
        },
    ]


def opened_at(
    objects: list[Manifest], variant: list[Manifest], dropped: tuple[End, End, str, int], direction: str
) -> int | None:
    """How many other connections a variant opens at a side, on the drop's port; None where it is no change to offer."""
    asked = [each for each in everything() if each[2:] == dropped[2:]]
    was, now = answers(objects, asked), answers(variant, asked)
    passing = ("allowed", "no-policy")
    if now[asked.index(dropped)][direction] not in passing:
        return None
    if any(
        old[side] in passing and new[side] not in passing
        for old, new in zip(was, now, strict=True)
        for side in ("egress", "ingress")
    ):
        return None
    opened = sum(
        old[direction] not in passing and new[direction] in passing for old, new in zip(was, now, strict=True)
    )
    return opened - 1
