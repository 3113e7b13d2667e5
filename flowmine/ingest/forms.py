"""The raw forms of endpoint objects, parsed: what one says of itself, and of where it is."""

from dataclasses import dataclass
from typing import Any

import msgspec

from flowmine.labels import CLUSTER_KEY, CanonicalEndpoint, canonical, parse

__all__ = ["HAS_ID", "HOST", "PLACE", "UNSEEN", "Form", "form_of", "from_json"]

UNSEEN, HAS_ID, HOST, PLACE = range(4)
"""What a raw form says of where the end is: nothing; a local endpoint; the node itself; not on the node."""


@dataclass(frozen=True, slots=True)
class Form:
    """One raw form of an endpoint, parsed."""

    cluster_name: str = ""
    namespace: str = ""
    labels: tuple[str, ...] = ()
    identity: int = 0
    pod_name: str = ""
    local: int = UNSEEN
    has_id: bool = False
    workloads: tuple[tuple[str, str], ...] = ()

    @property
    def own_cluster(self) -> bool:
        """Tell whether the form itself names its cluster."""
        return bool(self.cluster_name) or any(
            parse(label).key == CLUSTER_KEY and parse(label).value for label in self.labels
        )

    def canonical(self, cluster_name: str) -> CanonicalEndpoint:
        """Return what the form stands for in an event of a node of ``cluster_name``."""
        return canonical(
            cluster_name=self.cluster_name or cluster_name,
            namespace=self.namespace,
            labels=self.labels,
            identity=self.identity,
            pod_name=self.pod_name,
        )


def from_json(raw: bytes) -> Any:
    """Decode a raw endpoint as leniently as can be; None where it is no JSON."""
    try:
        return msgspec.json.decode(raw)
    except UnicodeDecodeError:
        return from_json(raw.decode("utf-8", "replace").encode())
    except (msgspec.MsgspecError, RecursionError):
        return None


def form_of(value: object) -> Form:
    """Make a form of a decoded endpoint, snake_case or camelCase, as leniently as its parts allow."""
    if not isinstance(value, dict):
        return Form()
    labels = tuple(_labels(value.get("labels")))
    identity = _number(value.get("identity"))
    has_id = _number(value.get("ID", value.get("id"))) > 0
    return Form(
        cluster_name=_text(value.get("cluster_name", value.get("clusterName"))),
        namespace=_text(value.get("namespace")),
        labels=labels,
        identity=identity,
        pod_name=_text(value.get("pod_name", value.get("podName"))),
        local=_locality(labels, identity, has_id),
        has_id=has_id,
        workloads=tuple(_workloads(value.get("workloads"))),
    )


def _locality(labels: tuple[str, ...], identity: int, has_id: bool) -> int:
    """Tell where the end is: an endpoint number exists on its own node only, and only a node's own host is identity 1.

    Source: Cilium ``pkg/hubble/parser/common``: `ID` is filled from the node's own endpoint list.
    """
    if has_id:
        return HAS_ID
    if identity == 1 or "reserved:host" in labels:
        return HOST
    reserved = labels and all(
        parse(label).source in ("reserved", "cidr", "cidrgroup", "fqdn", "node") for label in labels
    )
    if reserved or (not labels and 1 < identity < 256):
        return UNSEEN if _may_be_local(labels, identity) else PLACE
    return UNSEEN


def _may_be_local(labels: tuple[str, ...], identity: int) -> bool:
    """Tell whether a reserved end may lie on any node: health, init, unmanaged and ingress endpoints do."""
    keys = {parse(label).key for label in labels}
    return bool(keys & {"health", "init", "unmanaged", "ingress"}) or identity in (3, 4, 5, 8)


def _labels(value: object) -> list[str]:
    if isinstance(value, dict):
        return [f"{key}={text}" if text else str(key) for key, text in value.items()]
    if isinstance(value, list):
        return [text for text in value if isinstance(text, str) and text]
    return []


def _workloads(value: object) -> list[tuple[str, str]]:
    items = value if isinstance(value, list) else []
    pairs = [(_text(item.get("kind")), _text(item.get("name"))) for item in items if isinstance(item, dict)]
    return [pair for pair in pairs if pair[1]]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    return value if type(value) is int and 0 <= value < 1 << 32 else 0  # true is no number here
