"""How fast the policy engine compiles and judges: `python -m tests.bench.engine`.

A thousand policies over two thousand identities and 200,000 distinct connections, on one core, against the 336,000
verdicts a second of Cilium's own engine (over 60 policies, without parsing), and how both grow from 100 to 3,000.
"""

import argparse
import resource
import time

import numpy as np
import pyarrow as pa

from flowmine import schema
from flowmine.engine.config import Config
from flowmine.engine.policyset import PolicySet
from flowmine.policy.model import (
    CidrRule,
    Entry,
    FqdnSelector,
    Kind,
    Policy,
    PortProtocol,
    PortRule,
    Rule,
    Selector,
)

CILIUM_VERDICTS_PER_SECOND = 336_000
NAMESPACES = 50


def main() -> None:
    """Print compile time, verdicts a second and memory for each number of policies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, nargs="+", default=[100, 1000, 3000])
    parser.add_argument("--identities", type=int, default=2000)
    parser.add_argument("--edges", type=int, default=200_000)
    options = parser.parse_args()
    parties = party_table(options.identities)
    queries = query_table(options.identities, options.edges, np.random.default_rng(7))
    print(
        f"{'policies':>9} {'compile s':>10} {'judge s':>8} {'verdicts/s':>11} {'of Cilium':>9} {'allowed':>8} {'MB':>6}"
    )
    for count in options.policies:
        policies = [policy(number, options.identities) for number in range(count)]
        start = time.perf_counter()
        chosen = PolicySet.from_policies(policies, config=Config())
        _ = chosen.index
        compiled = time.perf_counter()
        table = chosen.evaluate(queries, parties)
        judged = time.perf_counter()
        rate = len(table) / (judged - compiled)
        allowed = table["verdict"].to_pylist().count("allowed") / len(table)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{count:9} {compiled - start:10.2f} {judged - compiled:8.2f} {rate:11,.0f} "
            f"{rate / CILIUM_VERDICTS_PER_SECOND:8.2f}x {allowed:8.1%} {memory:6.0f}"
        )


def labels_of(number: int) -> list[str]:
    """Return the labels of one identity: an app of its own, in one of the namespaces."""
    namespace = f"ns-{number % NAMESPACES}"
    return [
        f"k8s:app=app-{number // NAMESPACES}",
        f"k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name={namespace}",
        "k8s:io.cilium.k8s.policy.cluster=default",
        f"k8s:io.kubernetes.pod.namespace={namespace}",
        f"k8s:tier={('web', 'api', 'db')[number % 3]}",
    ]


def party_table(identities: int) -> pa.Table:
    """Return PARTIES: nine of ten are pods, the others addresses outside."""
    outside = [number % 10 == 9 for number in range(identities)]
    columns = {
        "labels": [["reserved:world"] if out else labels_of(number) for number, out in enumerate(outside)],
        "ip": [
            f"203.0.{number % 250}.{number // 250}" if out else None for number, out in enumerate(outside)
        ],
        "names": [[f"host-{number}.example.com"] if out else [] for number, out in enumerate(outside)],
        "named_ports": [[] for _ in outside],
    }
    return pa.table(columns, schema=schema.PARTIES)


def query_table(identities: int, edges: int, random: np.random.Generator) -> pa.Table:
    """Return QUERIES: distinct connections between random identities on common ports."""
    ports = np.array([53, 80, 443, 5432, 6379, 8080, 8443, 9090], np.int64)
    space = identities * identities * len(ports) * 2
    chosen = np.unique(random.integers(0, space, edges + edges // 4))
    chosen = random.permutation(chosen)[:edges]
    chosen, protocol = np.divmod(chosen, 2)
    chosen, port = np.divmod(chosen, len(ports))
    source, destination = np.divmod(chosen, identities)
    names = list(schema.ENUMS["protocol"])
    codes = np.where(protocol == 0, names.index("TCP"), names.index("UDP"))
    text = pa.nulls(len(chosen), pa.string())
    columns = [
        pa.array(source, pa.uint32()),
        pa.array(destination, pa.uint32()),
        pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(names)),
        pa.array(ports[port], pa.uint16()),
        *[text] * 4,
    ]
    return pa.table(columns, schema=schema.QUERIES)


def policy(number: int, identities: int) -> Policy:
    """Return a policy as `recommend` writes them: one workload, a few peers each way, DNS, one CIDR and one name."""
    subject = number * 7 % identities
    namespace = f"ns-{subject % NAMESPACES}"

    def peer(offset: int) -> Selector:
        other = (subject + offset * 37) % identities
        return Selector.of(
            {"app": f"app-{other // NAMESPACES}", "io.kubernetes.pod.namespace": f"ns-{other % NAMESPACES}"}
        )

    def ports(*numbers: int) -> tuple[PortRule, ...]:
        return (PortRule(tuple(PortProtocol(str(each), "TCP") for each in numbers)),)

    ingress = tuple(
        Entry(endpoints=(peer(offset), peer(offset + 3)), to_ports=ports(80, 8080 + offset))
        for offset in (1, 2)
    )
    dns = Entry(
        endpoints=(Selector.of({"k8s-app": "kube-dns", "io.kubernetes.pod.namespace": "kube-system"}),),
        to_ports=(PortRule((PortProtocol("53", "ANY"),)),),
    )
    egress = (
        dns,
        *(Entry(endpoints=(peer(offset),), to_ports=ports(443, 5432)) for offset in (4, 5, 6)),
        Entry(cidr_set=(CidrRule(cidr=f"203.0.{number % 250}.0/24"),), to_ports=ports(443)),
        Entry(fqdns=(FqdnSelector(match_name=f"host-{number}.example.com"),), to_ports=ports(443)),
    )
    selector = Selector.of({"app": f"app-{subject // NAMESPACES}"} if number % 5 else {"tier": "api"})
    return Policy(
        Kind.CNP,
        f"policy-{number}",
        namespace,
        rules=(Rule(endpoint_selector=selector, ingress=ingress, egress=egress),),
    )


if __name__ == "__main__":
    main()
