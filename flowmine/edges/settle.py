"""From Parts to EDGES: decide, with the whole data in sight, who began each connection and what became of it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowmine.edges import tables
from flowmine.edges.observe import Parts
from flowmine.edges.orient import listeners, orient
from flowmine.edges.seen import seen_sides
from flowmine.schema import LEDGER, check

__all__ = ["Edges", "settle"]


@dataclass(frozen=True, slots=True)
class Edges:
    """All that a capture says, settled: the tables of `flowmine.schema` by their names.

    ``seen`` says of each pod endpoint whether the capture saw its egress and its ingress side at its own node, and if
    not why; ``ledger`` how far all this can be trusted.
    """

    edges: pa.Table
    names: pa.Table
    hours: pa.Table
    reasons: pa.Table
    samples: pa.Table
    requests: pa.Table
    endpoints: pa.Table
    pods: pa.Table
    seen: pa.Table
    ledger: pa.Table


def settle(
    parts: Parts, endpoints: pa.Table, pods: pa.Table, ledger: pa.Table, *, complete: bool = False
) -> Edges:
    """Return the edges of a whole capture, every table sorted: the same traffic gives the same bytes.

    ``complete`` vouches that nothing was filtered out of the capture, where the capture cannot show it itself.
    Raise SchemaError where ``ledger`` is not in LEDGER's form.
    """
    check(ledger, LEDGER, "ledger")
    parts = _fold_init(parts, endpoints, pods)
    names, services, folded = parts.names, parts.services, parts.folded
    known = listeners(parts.rows)
    rows, unsettled = orient(parts.rows, known)
    rows = tables.unswapped(rows)
    drops, _ = orient(parts.drops, known)
    deniers, _ = orient(parts.deniers, known)
    requests, _ = orient(parts.requests, known)
    del parts  # whoever passes them on need not have them twice
    edges = tables.edges(rows, drops, services)
    rows = tables.placed(rows, edges)
    return Edges(
        edges=tables.typed(edges),
        names=tables.names(names),
        hours=tables.hours(rows),
        reasons=tables.reasons(drops, deniers, edges),
        samples=tables.samples(rows),
        requests=tables.requests(requests, edges),
        endpoints=endpoints.sort_by("id"),
        pods=pods.sort_by([(name, "ascending") for name in ("endpoint", "namespace", "pod_name")]),
        seen=seen_sides(edges, endpoints, pods, unsettled, complete=complete),
        ledger=_with_folded(_with_unsettled(ledger, unsettled), folded, endpoints),
    )


def _with_unsettled(ledger: pa.Table, unsettled: pa.Table) -> pa.Table:
    if unsettled.num_rows:
        row = {
            "node": "",
            "kind": "unsettled",
            "source": "direction",
            "count": pc.sum(unsettled["events"]).as_py(),
            "first": pc.min(unsettled["first"]).as_py(),
            "last": pc.max(unsettled["last"]).as_py(),
        }
        made = {name: pa.array([value], LEDGER.field(name).type) for name, value in row.items()}
        ledger = pa.concat_tables([ledger, pa.table(made, schema=LEDGER)])
    return ledger.sort_by([(name, "ascending") for name in ("kind", "node", "source")])


def _with_folded(ledger: pa.Table, folded: pa.Table, endpoints: pa.Table) -> pa.Table:
    """Tell of the subjects that had more peers than are kept, each by its workload or labels."""
    if not folded.num_rows:
        return ledger
    told = {one["id"]: one for one in endpoints.to_pylist()}
    rows = {
        "node": [""] * folded.num_rows,
        "kind": ["folded"] * folded.num_rows,
        "source": [_subject(told.get(subject)) for subject in folded["subject"].to_pylist()],
        **{name: folded[name] for name in ("count", "first", "last")},
    }
    made = pa.table({name: rows[name] for name in LEDGER.names}).cast(LEDGER)
    table = pa.concat_tables([ledger, made]).group_by(["node", "kind", "source"], use_threads=False)
    summed = table.aggregate([("count", "sum"), ("first", "min"), ("last", "max")])
    ordered = summed.rename_columns(LEDGER.names).cast(LEDGER)
    return ordered.sort_by([(name, "ascending") for name in ("kind", "node", "source")])


def _subject(endpoint: dict[str, Any] | None) -> str:
    if endpoint is None:
        return "unknown"
    name = (
        endpoint["workload_name"] or endpoint["pod"] or ",".join(endpoint["labels"] or endpoint["reserved"])
    )
    return "/".join(filter(None, (endpoint["cluster_name"], endpoint["namespace"], name)))


def _fold_init(parts: Parts, endpoints: pa.Table, pods: pa.Table) -> Parts:
    """Let events of a pod that still had the identity init count as that pod's, where its later identity was seen."""
    columns = ("id", "cluster_name", "namespace", "pod", "reserved")
    rows = zip(*(endpoints[name].to_pylist() for name in columns), strict=True)
    starting = {
        i: (cluster, ns, pod) for i, cluster, ns, pod, reserved in rows if pod and "init" in (reserved or ())
    }
    if not starting:
        return parts
    clusters = dict(zip(endpoints["id"].to_pylist(), endpoints["cluster_name"].to_pylist(), strict=True))
    real: dict[tuple[str, str, str], int] = {}
    pod_rows = zip(*(pods[name].to_pylist() for name in ("endpoint", "namespace", "pod_name")), strict=True)
    for endpoint, namespace, pod in pod_rows:
        if endpoint not in starting and endpoint & 1:
            key = (clusters.get(endpoint, ""), namespace, pod)
            real[key] = min(endpoint, real.get(key, endpoint))
    becomes = {i: real[key] for i, key in starting.items() if key in real}
    ends = dict.fromkeys(("rows", "drops", "deniers", "requests", "services"), ("a", "b")) | {
        "names": ("subject",),
        "folded": ("subject",),
    }
    changed = {name: _renamed(getattr(parts, name), where, becomes) for name, where in ends.items()}
    return replace(parts, **changed)


def _renamed(table: pa.Table, columns: tuple[str, ...], becomes: dict[int, int]) -> pa.Table:
    if not becomes:
        return table
    old, new = (np.array(ids, dtype=np.uint64) for ids in zip(*sorted(becomes.items()), strict=True))
    for name in columns:
        ids: NDArray[np.uint64] = table[name].to_numpy()
        place = np.searchsorted(old, ids).clip(max=len(old) - 1)
        made = pa.array(np.where(old[place] == ids, new[place], ids))
        table = table.set_column(table.schema.get_field_index(name), name, made)
        if f"{name}_ip" in table.schema.names:  # a pod's edges carry no address
            kept = pc.if_else(pa.array((ids & 1) != (table[name].to_numpy() & 1)), "", table[f"{name}_ip"])
            table = table.set_column(table.schema.get_field_index(f"{name}_ip"), f"{name}_ip", kept)
    return table
