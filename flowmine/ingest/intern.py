"""Endpoints: parse each distinct form once, give it its canonical id, and join what is told of it anywhere.

One pod has several raw forms: `ID` and `workloads` exist only in its own node's events, and old Cilium writes no
`cluster_name`. The raw bytes are therefore only the key of a cache; the id comes from `labels.endpoint_id`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flowmine.errors import InputError
from flowmine.ingest.caches import distinct
from flowmine.ingest.forms import Form, form_of, from_json
from flowmine.labels import UNKNOWN_ID, CanonicalEndpoint, endpoint_id
from flowmine.schema import ENDPOINTS, PODS

__all__ = ["Endpoints", "Known", "Told", "cluster_of_node"]

_Value = TypeVar("_Value", int, str)

_NodesOf: TypeAlias = Callable[[npt.NDArray[np.int64]], pa.Array]

_FEW = 8
_CACHE_BYTES = 48 << 20


def cluster_of_node(node_name: str | None) -> str:
    """Return the cluster in an emitting node's name, ``cluster/node``; empty where it names none.

    >>> cluster_of_node("prod/node-1"), cluster_of_node("node-1")
    ('prod', '')
    """
    cluster, slash, _ = (node_name or "").partition("/")
    return cluster if slash else ""


class Told(NamedTuple):
    """Columns with one value an endpoint object: the pod's name, the numeric identity."""

    pods: pa.Array
    identities: pa.Array


@dataclass(slots=True)
class _Row:
    """A row of ENDPOINTS in the making."""

    what: CanonicalEndpoint
    identities: set[int] = field(default_factory=set)
    workloads: set[tuple[str, str]] = field(default_factory=set)
    pods: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Pod:
    local: bool = False
    workload: str = ""


Known: TypeAlias = tuple[dict[int, _Row], dict[tuple[int, str, str], _Pod], set[str]]
"""All that is known of endpoints."""


class _Cache(dict[bytes, int]):
    """Raw bytes -> number of the form; a miss parses and registers it."""

    def __init__(self, owner: "Endpoints") -> None:
        super().__init__()
        self._owner = owner

    def __missing__(self, raw: bytes) -> int:
        number = self[raw] = self._owner._learn(raw)
        return number


class Endpoints:
    """Every endpoint of one reading: ids by raw form, and the tables ENDPOINTS and PODS, which grow meanwhile."""

    def __init__(self, decode: Callable[[bytes], Any] | None = None) -> None:
        """Begin with no endpoint known; ``decode`` makes a dict of a raw form, which is JSON by default."""
        self._decode = decode or from_json
        self._rows: dict[int, _Row] = {}
        self._pods: dict[tuple[int, str, str], _Pod] = {}
        self.seen: set[str] = set()
        """Which endpoint fields any form carried: labels, identity, ID, pod_name, namespace."""
        self.generation = 0
        """How often forms were forgotten; each time their numbers begin anew."""
        self.held = False
        """Whether somebody still needs the numbers given: nothing is forgotten meanwhile."""
        self._forget()

    def _forget(self) -> None:
        self._cache = _Cache(self)
        self._bytes = 0
        self._forms: list[Form] = []
        self._ids: list[int] = []
        self._floating: list[bool] = []
        self._local: list[int] = []
        self._of_cluster: dict[tuple[int, str], int] = {}
        self._alike: list[int] = []
        self._first: dict[tuple[int, int], int] = {}
        self._arrays: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]] | None = None

    @property
    def is_crowded(self) -> bool:
        """Whether raw forms are too many."""
        return self._bytes > _CACHE_BYTES

    def make_room(self) -> None:
        """Forget raw forms where they are too many and not ``held``; numbers given before no longer hold (`generation`)."""
        if self.is_crowded and not self.held:
            self.generation += 1
            self._forget()

    def numbers(self, raws: Sequence[Any] | pa.Array) -> npt.NDArray[np.int64]:
        """Return the numbers of the forms of raw endpoint objects (bytes; empty where absent).

        Raise InputError where two different endpoints hash to one id.
        """
        values, places = distinct(raws)
        return np.array(list(map(self._cache.__getitem__, values)), np.int64)[places]

    def ids(
        self, numbers: npt.NDArray[np.int64], nodes_of: _NodesOf
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int8]]:
        """Return the ids of endpoints, by the numbers of their forms, and what each says of its place.

        ``nodes_of`` gives the emitting nodes of some of them: their cluster is that of an endpoint which names none
        itself. Raise InputError where two different endpoints hash to one id.
        """
        if self._arrays is None or len(self._arrays[0]) != len(self._forms):
            self._arrays = (
                np.array(self._ids, np.uint64),
                np.array(self._floating, bool),
                np.array(self._local, np.int8),
            )
        ids, floating, local = (array[numbers] for array in self._arrays)
        if floating.any():
            self._place(ids, np.flatnonzero(floating), numbers, nodes_of)
        return ids, local

    def alike(self, numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
        """Return for the number of each form that of the first which says the same of id and place; and its id.

        A form whose id depends on the emitting node is alike none but itself, and its id yet unknown.
        """
        return np.array(self._alike, np.int64)[numbers], np.array(self._ids, np.uint64)[numbers]

    def told(self, numbers: npt.NDArray[np.int64]) -> Told:
        """Return the pod names and numeric identities that forms carry, by their numbers; null where there is none."""
        forms, places = np.unique(numbers, return_inverse=True)
        chosen = [self._forms[form] for form in forms.tolist()]
        return Told(
            pa.array([form.pod_name or None for form in chosen], pa.string()).take(pa.array(places)),
            pa.array([form.identity or None for form in chosen], pa.uint32()).take(pa.array(places)),
        )

    def _place(
        self,
        ids: npt.NDArray[np.uint64],
        rows: npt.NDArray[np.int64],
        numbers: npt.NDArray[np.int64],
        nodes_of: _NodesOf,
    ) -> None:
        """Fill in the ids of forms that take their cluster from the emitting node."""
        nodes = nodes_of(rows).dictionary_encode()
        clusters = np.array([*map(cluster_of_node, nodes.dictionary.to_pylist()), ""], object)
        codes = nodes.indices.fill_null(len(clusters) - 1).to_numpy()
        keys, places = np.unique(numbers[rows] * len(clusters) + codes, return_inverse=True)
        found = []
        for form, cluster in zip(
            (keys // len(clusters)).tolist(), clusters[keys % len(clusters)], strict=True
        ):
            if (form, cluster) not in self._of_cluster:
                self._of_cluster[form, cluster] = self._register(self._forms[form], cluster)
            found.append(self._of_cluster[form, cluster])
        ids[rows] = np.array(found, np.uint64)[places]

    def _learn(self, raw: bytes) -> int:
        form = form_of(self._decode(raw)) if raw else Form()
        number = len(self._forms)
        floating = not form.own_cluster and bool(form.labels or form.identity or form.pod_name)
        self._forms.append(form)
        self._floating.append(floating)
        self._local.append(form.local)
        self._ids.append(UNKNOWN_ID if floating else self._register(form, ""))
        told = self._ids[-1], form.local
        self._alike.append(number if floating else self._first.setdefault(told, number))
        self._bytes += len(raw) + 600
        present = {
            "labels": form.labels,
            "identity": form.identity,
            "ID": form.has_id,
            "pod_name": form.pod_name,
            "namespace": form.namespace,
        }
        self.seen.update(name for name, value in present.items() if value)
        return number

    def _row(self, identifier: int, what: CanonicalEndpoint) -> _Row:
        row = self._rows.setdefault(identifier, _Row(what))
        if row.what != what:
            raise InputError(
                f"endpoints {row.what} and {what} have the same 64-bit id {identifier:#x}; "
                "read their captures in separate runs"
            )
        return row

    def _register(self, form: Form, cluster_name: str) -> int:
        """Return the id of a form, and join what it tells to its rows."""
        what = form.canonical(cluster_name)
        identifier = endpoint_id(what)
        if identifier == UNKNOWN_ID:
            return identifier
        row = self._row(identifier, what)
        _keep_few(row.identities, form.identity)
        row.workloads.update(form.workloads)
        if form.pod_name:
            _keep_few(row.pods, form.pod_name)
            pod = self._pods.setdefault((identifier, form.namespace or what.namespace, form.pod_name), _Pod())
            pod.local |= form.has_id
            if form.workloads:
                texts = [f"{kind}/{name}" for kind, name in form.workloads]
                pod.workload = min([*texts, pod.workload] if pod.workload else texts)
        return identifier

    def absorb(self, endpoints: pa.Table, pods: pa.Table) -> None:
        """Join ENDPOINTS and PODS of another reading. Raise InputError where two endpoints have one id."""
        for one in endpoints.to_pylist():
            what = CanonicalEndpoint(
                one["cluster_name"],
                one["namespace"],
                tuple(one["labels"]),
                tuple(one["reserved"]),
                one["pod"],
            )
            row = self._row(one["id"], what)
            for identity in one["identities"]:
                _keep_few(row.identities, identity)
            for name in one["pods"]:
                _keep_few(row.pods, name)
            if one["workload_name"]:
                row.workloads.add((one["workload_kind"], one["workload_name"]))
            told = {"labels": what.labels, "identity": one["identities"], "namespace": what.namespace}
            self.seen.update(name for name, value in told.items() if value)
        for one in pods.to_pylist():
            pod = self._pods.setdefault((one["endpoint"], one["namespace"], one["pod_name"]), _Pod())
            pod.local |= one["local"]
            self.seen.update(("pod_name", "ID") if one["local"] else ("pod_name",))
            if one["workload"]:
                pod.workload = min(filter(None, (pod.workload, one["workload"])))
                kind, _, name = one["workload"].partition("/")
                if one["endpoint"] in self._rows:
                    self._rows[one["endpoint"]].workloads.add((kind, name))

    def known(self) -> "Known":
        """Return all that is known, to be joined elsewhere."""
        return self._rows, self._pods, self.seen

    def join(self, known: "Known") -> None:
        """Join what another knows. Raise InputError where two endpoints have one id."""
        rows, pods, seen = known
        for identifier, other in rows.items():
            row = self._row(identifier, other.what)
            row.workloads |= other.workloads
            for identity in other.identities:
                _keep_few(row.identities, identity)
            for name in other.pods:
                _keep_few(row.pods, name)
        for key, told in pods.items():
            pod = self._pods.setdefault(key, _Pod())
            pod.local |= told.local
            pod.workload = min(filter(None, (pod.workload, told.workload)), default="")
        self.seen |= seen

    def table(self) -> pa.Table:
        """Return all endpoints seen so far as ENDPOINTS, sorted by id."""
        rows = sorted(self._rows.items())
        main = [min(row.workloads, default=("", "")) for _, row in rows]
        columns = {
            "id": pa.array([identifier for identifier, _ in rows], pa.uint64()),
            "cluster_name": [row.what.cluster_name for _, row in rows],
            "namespace": [row.what.namespace for _, row in rows],
            "labels": [list(row.what.labels) for _, row in rows],
            "reserved": [list(row.what.reserved) for _, row in rows],
            "pod": [row.what.pod for _, row in rows],
            "identities": [sorted(row.identities) for _, row in rows],
            "workload_kind": [kind for kind, _ in main],
            "workload_name": [name for _, name in main],
            "workloads": [len(row.workloads) for _, row in rows],
            "pods": [sorted(row.pods) for _, row in rows],
        }
        return pa.table(columns, schema=ENDPOINTS)

    def pods(self) -> pa.Table:
        """Return all pods seen so far as PODS, sorted."""
        rows = sorted(self._pods.items())
        columns = {
            "endpoint": pa.array([endpoint for (endpoint, _, _), _ in rows], pa.uint64()),
            "namespace": [namespace for (_, namespace, _), _ in rows],
            "pod_name": [name for (_, _, name), _ in rows],
            "local": [pod.local for _, pod in rows],
            "workload": [pod.workload for _, pod in rows],
        }
        return pa.table(columns, schema=PODS)


def _keep_few(kept: set[_Value], value: _Value) -> None:
    """Keep the smallest few values, whatever the order they come in."""
    if value:
        kept.add(value)
        if len(kept) > _FEW:
            kept.remove(max(kept))
