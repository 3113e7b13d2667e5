"""What is refused in the other kinds beyond their shape: NetworkPolicy, and Cilium's egress gateway policy.

Sources: Kubernetes' `pkg/apis/networking/validation`, and Cilium's `pkg/egressgateway` (ParseCEGP).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from flowmine.policy import limits
from flowmine.policy.problems import Problem, Stage, refused
from flowmine.policy.sanitize import check_selector

__all__ = ["check_gateway", "check_network_policy"]

Manifest = dict[str, Any]


def check_network_policy(spec: Manifest, path: str) -> Iterator[Problem]:
    """Yield the problems of a NetworkPolicy's `spec`, all of which the API server itself tells."""
    yield from _as_schema(check_selector(spec.get("podSelector", {}), f"{path}.podSelector", source=""))
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, entry in enumerate(spec.get(direction, [])):
            at = f"{path}.{direction}[{index}]"
            for place, port in enumerate(entry.get("ports", [])):
                yield from _check_port(port, f"{at}.ports[{place}]")
            for place, peer in enumerate(entry.get(peers, [])):
                yield from _check_peer(peer, f"{at}.{peers}[{place}]")


def _as_schema(problems: Iterator[Problem]) -> Iterator[Problem]:
    return (replace(problem, stage=Stage.SCHEMA) for problem in problems)


def _check_port(port: Manifest, path: str) -> Iterator[Problem]:
    if "endPort" not in port:
        return
    start, end = port.get("port"), port["endPort"]
    if not isinstance(start, int | float):
        message = (
            "needs a port number to begin at"
            if start is None
            else "takes a port number, and no name, to begin at"
        )
        yield Problem(f"{path}.endPort", message, "write port as a number", Stage.SCHEMA)
    elif end < start:
        message = f"{end} is less than port {start}"
        yield Problem(f"{path}.endPort", message, "write the larger number as endPort", Stage.SCHEMA)


def _check_peer(peer: Manifest, path: str) -> Iterator[Problem]:
    selectors = [name for name in ("podSelector", "namespaceSelector") if name in peer]
    for name in selectors:
        yield from _as_schema(check_selector(peer[name], f"{path}.{name}", source=""))
    if not selectors and "ipBlock" not in peer:
        fix = "write podSelector, namespaceSelector or ipBlock; leave the list out to admit everybody"
        yield Problem(path, "names no peer", fix, Stage.SCHEMA)
    if "ipBlock" not in peer:
        return
    if selectors:
        message = f"has ipBlock and {selectors[0]}, which exclude each other"
        yield Problem(path, message, "make two items of it", Stage.SCHEMA)
    block = peer["ipBlock"]
    around = limits.sloppy_network(block.get("cidr", ""))
    for index, text in enumerate(block.get("except", [])):
        inside = limits.sloppy_network(text)
        if around and inside and not _strictly_within(inside, around):
            message = f"{text} is no part of {block['cidr']}, the range it is taken from"
            yield Problem(
                f"{path}.ipBlock.except[{index}]", message, "write a smaller range inside it", Stage.SCHEMA
            )
    for at, text in ((f"{path}.ipBlock.cidr", block.get("cidr")), *_excepts(block, path)):
        found = limits.agent_cidr(text) if isinstance(text, str) else None
        if found:
            yield refused(at, *found)


def _excepts(block: Manifest, path: str) -> list[tuple[str, str]]:
    return [(f"{path}.ipBlock.except[{index}]", text) for index, text in enumerate(block.get("except", []))]


def _strictly_within(inside: limits.Network, around: limits.Network) -> bool:
    return (
        inside.version == around.version
        and inside.network_address in around
        and inside.prefixlen > around.prefixlen
    )


def check_gateway(spec: Manifest, path: str) -> Iterator[Problem]:
    """Yield the problems of a CiliumEgressGatewayPolicy's `spec` that the agent tells."""
    for index, selector in enumerate(spec.get("selectors", [])):
        at = f"{path}.selectors[{index}]"
        if "podSelector" not in selector and "namespaceSelector" not in selector:
            yield refused(at, "selects nothing", "write podSelector or namespaceSelector")
        for name, value in selector.items():
            yield from check_selector(value, f"{at}.{name}", source="")
    single = [("egressGateway", spec["egressGateway"])] if "egressGateway" in spec else []
    several = [
        (f"egressGateways[{index}]", each) for index, each in enumerate(spec.get("egressGateways", []))
    ]
    for name, gateway in (*single, *several):
        if gateway.get("interface") and gateway.get("egressIP"):
            message = "has interface and egressIP, which exclude each other"
            yield refused(f"{path}.{name}", message, "leave one of the two out")
