"""Which sides of which endpoints a capture really saw: the others are never locked down.

A direction of a workload may be closed only where its own node's events are in the capture, unfiltered. Three things
make a capture see halves: a node is missing (its pods appear only in other nodes' events), events were filtered by
namespace or pod (everything has one end there), or only drops were kept. A side without any traffic that is known to
be its own stays open as well where there was traffic of which nobody can tell who began it: it may be that side's.
"""

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["SEEN", "SYSTEM_NAMESPACES", "seen_sides"]

SEEN = pa.schema(
    [("endpoint", pa.uint64()), ("egress", pa.bool_()), ("ingress", pa.bool_()), ("reason", pa.string())]
)
"""One row a pod endpoint; ``reason`` is empty where both sides were seen."""

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "cilium")

_STRAY = 0.01
"""Share of an endpoint's pods that may be known only from other nodes (a pod that ended as the capture began)."""


_CROWD = 3
"""Endpoints that must share one common end before that looks like a filter by pod rather than a small cluster."""


def seen_sides(
    edges: pa.Table, endpoints: pa.Table, pods: pa.Table, unsettled: pa.Table, *, complete: bool
) -> pa.Table:
    """Return SEEN for every pod endpoint; ``complete`` vouches that no filter was applied.

    ``unsettled`` are the rows whose direction nothing tells (see `orient`).
    """
    place = dict(
        zip(
            endpoints["id"].to_pylist(),
            zip(endpoints["cluster_name"].to_pylist(), endpoints["namespace"].to_pylist(), strict=True),
            strict=True,
        )
    )
    subjects = sorted(i for i in place if i & 1)
    reasons: dict[int, str] = {}
    reasons.update(_remote(edges, pods, subjects))
    if not complete:
        pairs = _pairs(edges)
        reasons.update({i: text for i, text in _beyond_namespaces(pairs, place).items() if i not in reasons})
        reasons.update({i: text for i, text in _beyond_one(pairs, subjects).items() if i not in reasons})
    if edges.num_rows and not pc.any(pc.greater(edges["delivered"], 0)).as_py():
        text = "the capture holds no delivered traffic (only drops were kept?)"
        reasons.update(dict.fromkeys(subjects, text))
    untold = _untold(unsettled)
    called, calling = (_delivered(edges, end) if untold else set() for end in ("responder", "initiator"))
    sides = []
    for i in subjects:
        doubt = i in untold and i not in reasons
        egress, ingress = (i not in reasons and not (doubt and i not in of) for of in (calling, called))
        if doubt and not (egress and ingress):
            reasons[i] = f"nothing tells who began the connections of {untold[i]:,} of its events"
        sides.append((egress, ingress, reasons.get(i, "")))
    egresses, ingresses, texts = zip(*sides, strict=True) if sides else ((), (), ())
    columns = [subjects, egresses, ingresses, texts]
    return pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, SEEN, strict=True)], schema=SEEN
    )


def _untold(unsettled: pa.Table) -> dict[int, int]:
    """By pod endpoint, how many of its events were passed on without telling who began their connection."""
    passed = pc.add(pc.add(unsettled["arrived"], unsettled["left"]), unsettled["replied"])
    rows = unsettled.filter(pc.greater(passed, 0))
    counts: dict[int, int] = defaultdict(int)
    for a, b, events in zip(*(rows[name].to_pylist() for name in ("a", "b", "events")), strict=True):
        for i in {a, b}:
            if i & 1:
                counts[i] += events
    return counts


def _delivered(edges: pa.Table, end: str) -> set[int]:
    return set(edges.filter(pc.greater(edges["delivered"], 0))[end].to_pylist())


def _remote(edges: pa.Table, pods: pa.Table, subjects: list[int]) -> dict[int, str]:
    """Endpoints some of whose pods were never seen at their own node."""
    if not pc.any(pods["local"]).as_py():
        return _remote_by_edges(edges, subjects)
    total: dict[int, int] = defaultdict(int)
    strangers: dict[int, list[str]] = defaultdict(list)
    for endpoint, name, local in zip(
        *(pods[c].to_pylist() for c in ("endpoint", "pod_name", "local")), strict=True
    ):
        total[endpoint] += 1
        if not local:
            strangers[endpoint].append(name)
    return {
        i: f"{len(names)} of its {total[i]} pods never seen at their own node ({', '.join(sorted(names)[:3])})"
        for i, names in strangers.items()
        if i & 1 and len(names) > _STRAY * total[i]
    }


def _remote_by_edges(edges: pa.Table, subjects: list[int]) -> dict[int, str]:
    """The same where the capture carries no endpoint IDs: then the observation points must do."""
    ours: set[int] = set()
    for end, seen in (("initiator", "seen_egress"), ("responder", "seen_ingress")):
        ours.update(edges.filter(pc.greater(edges[seen], 0))[end].to_pylist())
    return {i: "no event of its own node is in the capture" for i in subjects if i not in ours}


def _pairs(edges: pa.Table) -> set[tuple[int, int]]:
    ends = np.stack([edges["initiator"].to_numpy(), edges["responder"].to_numpy()], axis=1)
    return {(int(a), int(b)) for a, b in np.unique(ends, axis=0)} if len(ends) else set()


def _beyond_namespaces(pairs: set[tuple[int, int]], place: dict[int, tuple[str, str]]) -> dict[int, str]:
    """Endpoints outside the namespaces to which the capture seems to have been filtered (`hubble observe -n`).

    A namespace is certainly inside when it talks within itself or with something that has no namespace. Another one is
    suspect when all its peers are inside. Traffic between two ends without a namespace, or of a system namespace with
    the nodes, survives no such filter, and clears everyone.
    """
    talks: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    inside: set[tuple[str, str]] = set()
    for a, b in pairs:
        first, second = (place.get(i) if i & 1 else None for i in (a, b))
        if first is None and second is None:
            return {}
        if first is None or second is None or first == second:
            inside.add(first or second or ("", ""))
        else:
            talks[first].add(second)
            talks[second].add(first)
    if any(namespace in SYSTEM_NAMESPACES for _, namespace in inside):
        return {}
    suspects = {where for where, peers in talks.items() if where not in inside and peers <= inside}
    names = ", ".join(sorted({namespace for _, namespace in inside}))
    text = f"it was seen only in traffic with {names} (was the capture filtered by namespace?)"
    return {i: text for i, where in place.items() if i & 1 and where in suspects}


def _beyond_one(pairs: set[tuple[int, int]], subjects: list[int]) -> dict[int, str]:
    """Every other endpoint where all traffic has one single end in common (`hubble observe --pod`)."""
    common: set[int] | None = None
    for a, b in pairs:
        common = {a, b} if common is None else common & {a, b}
    centre = [i for i in common or () if i & 1]
    others = [i for i in subjects if i not in centre]
    if len(centre) != 1 or len(others) < _CROWD:
        return {}
    return dict.fromkeys(others, "all traffic has one endpoint in common (was the capture filtered by pod?)")
