"""The one generator of Hubble traffic: whole clusters, stated policies, and every capture one could make of them."""

from tests.cluster.capture import events, lines, write
from tests.cluster.deploy import Deployed
from tests.cluster.judge import Deny, Judge, denying, engine
from tests.cluster.model import Capture, Cluster, Link, Node, Outside, Scan, Service, Workload

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
    "denying",
    "engine",
    "events",
    "lines",
    "write",
]
