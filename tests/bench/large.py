"""The edges of a large cluster, made from columns: no capture is written or read.

Of ten edges six are between workloads, three go to addresses outside, half of these by name; the rest are clients from
outside, scans that found nothing, and what policies dropped. `settle` decides of all of them, as of any capture.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowmine.edges import Edges, settle
from flowmine.edges.observe import Parts
from flowmine.edges.stored import empty, tables_of
from flowmine.schema import ENDPOINTS, ENUMS, LEDGER, PODS
from tests.bench.engine import NAMESPACES, labels_of

__all__ = ["large_edges", "large_parts"]

_HOUR = 3_600_000_000_000
_START = 1_767_225_600_000_000_000
"""2026-01-01, in nanoseconds since the epoch."""
_PORTS = np.array([8080, 443, 80, 5432, 6379, 9090], np.uint64)
_HOURS = 24
_WORLD, _DNS = 2, 1
_SITES, _EACH, _STRANGERS = 2_000, 10, 50_000
"""Names outside, addresses of each, and addresses outside without a name."""

Ints = NDArray[np.int64]


def large_edges(workloads: int, edges: int, seed: int = 0) -> Edges:
    """Return about so many edges of so many workloads, settled: the same for the same numbers."""
    return settle(*large_parts(workloads, edges, seed))


def large_parts(workloads: int, edges: int, seed: int = 0) -> tuple[Parts, pa.Table, pa.Table, pa.Table]:
    """Return what `settle` makes them of: Parts, ENDPOINTS, PODS and LEDGER."""
    random = np.random.default_rng(seed)
    drawn = [
        _between(random, workloads, edges * 6 // 10),
        _outward(random, workloads, edges * 3 // 10),
        _inward(random, workloads, edges * 5 // 100),
        _failing(random, workloads, edges * 5 // 100),
        _asking(workloads),
    ]
    columns = {name: np.concatenate([each[name] for each in drawn]) for name in drawn[0]}
    _, first = np.unique(_identity(columns), return_index=True)
    links = {name: values[np.sort(first)] for name, values in columns.items()}
    nothing = tables_of(empty())
    parts = Parts(**{**nothing, "rows": _rows(random, links), "drops": _drops(links), "names": _names(links)})
    made = {name: table.cast(nothing[name].schema) for name, table in tables_of(parts).items()}
    return Parts(**made), _endpoints(workloads), _pods(workloads), LEDGER.empty_table()


def _links(source: Any, target: Any, port: Any, **more: Any) -> dict[str, NDArray[Any]]:
    """Return links as columns: ends by id, addresses outside by number (-1 none), protocol, port, what became of them."""
    count = len(source)
    columns = {
        "a": source,
        "b": target,
        "a_ip": -1,
        "b_ip": -1,
        "port": port,
        "udp": False,
        "dropped": False,
        "reset": False,
        **more,
    }
    kinds = {"udp": np.bool_, "dropped": np.bool_, "reset": np.bool_, "a_ip": np.int64, "b_ip": np.int64}
    return {
        name: np.broadcast_to(np.asarray(value).astype(kinds.get(name, np.uint64)), count)
        for name, value in columns.items()
    }


def _pod(number: Ints | int) -> Any:
    return np.asarray(number, np.uint64) * np.uint64(2) + np.uint64(1001)


def _between(random: np.random.Generator, workloads: int, count: int) -> dict[str, NDArray[Any]]:
    """Draw callers of each workload's one to three ports; some workloads are called far more than others."""
    target = (workloads * random.random(count * 5 // 4) ** 2).astype(np.int64)
    source = random.integers(0, workloads, len(target))
    port = _PORTS[(target + random.integers(0, 3, len(target)) % (target % 3 + 1)) % len(_PORTS)]
    key = np.unique((source * workloads + target) * 100_000 + port.astype(np.int64))
    key = random.permutation(key)[:count]
    pair, port = np.divmod(key, 100_000)
    source, target = np.divmod(pair, workloads)
    return _links(_pod(source), _pod(target), port)


def _outward(random: np.random.Generator, workloads: int, count: int) -> dict[str, NDArray[Any]]:
    """Draw calls of addresses outside; those below `_SITES` times `_EACH` have names."""
    source = random.integers(0, workloads, count)
    named = random.random(count) < 0.5
    site = random.integers(0, _SITES * _EACH, count)
    stranger = _SITES * _EACH + random.integers(0, _STRANGERS, count)
    return _links(
        _pod(source), np.full(count, _WORLD), np.full(count, 443), b_ip=np.where(named, site, stranger)
    )


def _inward(random: np.random.Generator, workloads: int, count: int) -> dict[str, NDArray[Any]]:
    """Draw clients from outside of one workload in fifty."""
    target = random.integers(0, max(1, workloads // 50), count) * 50 % workloads
    client = _SITES * _EACH + random.integers(0, 10 * _STRANGERS, count)
    return _links(np.full(count, _WORLD), _pod(target), np.full(count, 8443), a_ip=client)


def _failing(random: np.random.Generator, workloads: int, count: int) -> dict[str, NDArray[Any]]:
    """Draw what policies dropped, and scans of a few workloads that found nobody listening."""
    dropped = random.random(count) < 0.5
    source = np.where(
        dropped, random.integers(0, workloads, count), random.integers(0, max(1, workloads // 200), count)
    )
    target = random.integers(0, workloads, count)
    port = np.where(dropped, 3306, 1 + random.integers(0, 2000, count))
    return _links(_pod(source), _pod(target), port, dropped=dropped, reset=~dropped)


def _asking(workloads: int) -> dict[str, NDArray[Any]]:
    source = _pod(np.arange(workloads))
    return _links(source, np.full(workloads, _DNS), np.full(workloads, 53), udp=True)


def _identity(links: dict[str, NDArray[Any]]) -> NDArray[Any]:
    return np.rec.fromarrays([links[name] for name in ("a", "b", "a_ip", "b_ip", "port")])


def _rows(random: np.random.Generator, links: dict[str, NDArray[Any]]) -> pa.Table:
    """Return `Parts.rows`: each link in one hour or several, seen at both ends as far as they are in the cluster."""
    hours = random.integers(1, 4, len(links["a"]))
    of = np.repeat(np.arange(len(hours)), hours)
    hour = (random.integers(0, _HOURS, len(hours))[of] + _nth(hours)) % _HOURS
    first = _START + hour * _HOUR + random.integers(0, _HOUR // 2, len(of))
    events = random.integers(2, 50, len(of)).astype(np.uint64)
    ends = {name: links[name][of] for name in ("a", "b", "a_ip", "b_ip", "dropped", "reset")}
    last = first + _HOUR // 3
    came = np.where(ends["dropped"], 0, events).astype(np.uint64)
    at = pa.timestamp("ns", tz="UTC")
    nothing = np.zeros(len(of), np.uint64)
    inside, left = (ends["b"] & 1) == 1, (ends["b"] & 1) == 0
    counts = {
        "events": events,
        "at_a": np.where(ends["a"] & 1, events, 0),
        "at_b": np.where(inside, came, 0),
        "arrived": np.where(inside & ~ends["reset"], came, 0),
        "left": np.where(left, came, 0),
        "replied": np.where(ends["reset"] | left, came, 0),
        "reset": np.where(ends["reset"], came, 0),
        **dict.fromkeys(("audited", "l7_denied", "l7_passed"), nothing),
    }
    never = came == 0
    times = {
        "first": pa.array(first, at),
        "last": pa.array(last, at),
        "last_arrived": pa.array(last, at, mask=never | ~inside),
        "last_left": pa.array(last, at, mask=never | inside),
        "last_replied": pa.array(last, at, mask=never | ~(ends["reset"] | left)),
        "last_denied": pa.nulls(len(of), at),
    }
    texts = {
        **{name: _addresses(ends[name]) for name in ("a_ip", "b_ip")},
        "uuid": pa.array(np.char.add("event-", np.arange(len(of)).astype(str)), pa.string()),
    }
    keys = {"a": ends["a"], "b": ends["b"], "ports": _ports(links)[of], "hour": _START // _HOUR + hour}
    made = {**keys, **counts, **times, **texts}
    schema = empty().rows.schema
    return pa.table(
        [pa.array(made[name]).cast(schema.field(name).type) for name in schema.names], schema=schema
    )


def _nth(counts: Ints) -> Ints:
    """Return 0, 1, … for each of so many repetitions."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) - np.repeat(ends - counts, counts)


def _ports(links: dict[str, NDArray[Any]]) -> NDArray[np.uint64]:
    """Pack protocol and port as `flowmine.edges.observe` does where the direction is known."""
    known = ENUMS["protocol"]
    protocol = np.where(links["udp"], known.index("UDP"), known.index("TCP")).astype(np.uint64)
    packed: NDArray[np.uint64] = protocol << np.uint64(40) | np.uint64(1 << 32) | links["port"]
    return packed


def _drops(links: dict[str, NDArray[Any]]) -> pa.Table:
    chosen = links["dropped"]
    count = int(chosen.sum())
    at = pa.array(np.full(count, _START + _HOUR * _HOURS), pa.timestamp("ns", tz="UTC"))
    made = {
        "a": links["a"][chosen],
        "b": links["b"][chosen],
        **{name: _addresses(links[name][chosen]) for name in ("a_ip", "b_ip")},
        "ports": _ports(links)[chosen],
        "first": at,
        "last": at,
        **{
            name: pa.array([text] * count, pa.string())
            for name, text in (("side", "ingress"), ("reason", "POLICY_DENIED"), ("origin", "event"))
        },
        "count": np.ones(count, np.uint64),
    }
    return pa.table({name: made[name] for name in empty().drops.schema.names})


def _addresses(numbers: Ints) -> pa.Array:
    """Return addresses outside by their numbers: ten to a block for those with names, all others side by side."""
    distinct, place = np.unique(numbers, return_inverse=True)
    texts = ["" if number < 0 else _address(int(number)) for number in distinct]
    return pa.array(texts, pa.string()).take(pa.array(place))


def _address(number: int) -> str:
    if number < _SITES * _EACH:
        site, host = divmod(number, _EACH)
        return f"198.{18 + site // 250}.{site % 250}.{host + 1}"
    number -= _SITES * _EACH
    return f"{20 + number // 65536 // 10}.{number // 65536 % 10}.{number // 256 % 256}.{number % 256}"


def _names(links: dict[str, NDArray[Any]]) -> pa.Table:
    """Return NAMES of the addresses that have some, as each caller asked for them."""
    chosen = (links["b_ip"] >= 0) & (links["b_ip"] < _SITES * _EACH)
    numbers = links["b_ip"][chosen]
    names = np.array([f"host-{n}.example.com" if n % 4 else f"b{n}.store.example" for n in range(_SITES)])
    at = pa.array(np.full(len(numbers), _START), pa.timestamp("ns", tz="UTC"))
    made = {
        "subject": links["a"][chosen],
        "ip": _addresses(numbers),
        "name": pa.array(names[numbers // _EACH], pa.string()),
        "source": pa.array(["dns"] * len(numbers), pa.string()),
        "first": at,
        "last": at,
    }
    return pa.table({name: made[name] for name in empty().names.schema.names})


def _endpoints(workloads: int) -> pa.Table:
    rows = [
        _endpoint(
            int(_pod(number)), labels_of(number), f"app-{number // NAMESPACES}", f"ns-{number % NAMESPACES}"
        )
        for number in range(workloads)
    ]
    dns = [
        "k8s:io.cilium.k8s.policy.cluster=default",
        "k8s:io.kubernetes.pod.namespace=kube-system",
        "k8s:k8s-app=kube-dns",
    ]
    rows += [_endpoint(_DNS, dns, "coredns", "kube-system"), _endpoint(_WORLD, ["reserved:world"], "", "")]
    return pa.Table.from_pylist(rows, schema=ENDPOINTS)


def _endpoint(identifier: int, labels: list[str], name: str, namespace: str) -> dict[str, Any]:
    return {
        "id": identifier,
        "cluster_name": "default",
        "namespace": namespace,
        "labels": labels,
        "reserved": [each.removeprefix("reserved:") for each in labels if each.startswith("reserved:")],
        "pod": "",
        "identities": [identifier],
        "workload_kind": "Deployment" if name else "",
        "workload_name": name,
        "workloads": 1 if name else 0,
        "pods": [f"{namespace}/{name}-0"] if name else [],
    }


def _pods(workloads: int) -> pa.Table:
    rows = [
        {
            "endpoint": each["id"],
            "namespace": each["namespace"],
            "pod_name": f"{each['workload_name']}-0",
            "local": True,
            "workload": f"Deployment/{each['workload_name']}",
        }
        for each in _endpoints(workloads).to_pylist()
        if each["workload_name"]
    ]
    return pa.Table.from_pylist(rows, schema=PODS)
