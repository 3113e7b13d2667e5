"""The cluster that deploy/ makes, as the test generator records it: `python -m tests.package.deployed` writes its capture.

flowmine's own policies are made of that capture, by the command that `flowmine help deploy` shows.
"""

import io
from gzip import GzipFile
from pathlib import Path

from tests.cluster import Cluster, Link, Service, Workload, lines
from tests.cluster.model import Capture
from tests.cluster.parts import coredns

__all__ = ["CAPTURE", "cluster", "content"]

CAPTURE = Path(__file__).parents[2] / "deploy" / "capture.jsonl.gz"

_RELAY, _PROMETHEUS = "kube-system/hubble-relay", "monitoring/prometheus"
_TAIL, _JOB, _FILES = "flowmine/tail", "flowmine/recommend", "flowmine/recommend-files"


def cluster() -> Cluster:
    """Return a cluster in which flowmine is deployed: relay, resolver, Prometheus and the API server beside it."""
    return Cluster(
        name="deployed",
        workloads=(
            coredns(),
            Workload("kube-system", "hubble-relay", labels={"k8s-app": "hubble-relay"}, replicas=1),
            Workload("monitoring", "prometheus", labels={"app.kubernetes.io/name": "prometheus"}, replicas=1),
            _own("tail", "Deployment", probe=9466),
            _own("recommend", "CronJob"),
            _own("recommend-files", "CronJob"),
        ),
        services=(Service("hubble-relay", _RELAY, {80: 4245}),),
        links=(
            Link(_TAIL, _RELAY, 4245, weight=20),
            Link(_TAIL, "entity:kube-apiserver", 6443, weight=6, direct=True),
            Link(_JOB, _RELAY, 4245, weight=10),
            Link(_PROMETHEUS, _TAIL, 9466, weight=20, direct=True),
        ),
        seed=9,
    )


def _own(component: str, kind: str, probe: int = 0) -> Workload:
    labels = {"app.kubernetes.io/name": "flowmine", "app.kubernetes.io/component": component}
    return Workload("flowmine", component, kind, 1, labels, account="flowmine", probe=probe)


def content() -> bytes:
    """Return the capture: an hour of JSON lines."""
    return b"".join(lines(cluster(), 600, Capture(lost=0)))


def _packed(text: bytes) -> bytes:
    out = io.BytesIO()
    with GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as file:
        file.write(text)
    return out.getvalue()


if __name__ == "__main__":
    CAPTURE.write_bytes(_packed(content()))
