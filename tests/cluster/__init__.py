"""The one generator of Hubble traffic: whole clusters, stated policies, and every capture one could make of them."""

from tests.cluster.capture import events, lines, write
from tests.cluster.chance import clusters, large_cluster, random_cluster
from tests.cluster.deploy import Deployed
from tests.cluster.fence import fence
from tests.cluster.judge import Deny, Judge, denying, engine
from tests.cluster.model import Capture, Cluster, Link, Node, Outside, Scan, Service, Workload
from tests.cluster.replay import replay
from tests.cluster.truth import truth

__all__ = [
    "Capture",
    "Cluster",
    "Deny",
    "Deployed",
    "Judge",
    "Link",
    "Node",
    "Outside",
    "Scan",
    "Service",
    "Workload",
    "clusters",
    "denying",
    "engine",
    "events",
    "fence",
    "large_cluster",
    "lines",
    "random_cluster",
    "replay",
    "truth",
    "write",
]
