"""The systems that sample captures and benchmarks are made of, by name."""

from collections.abc import Callable

from tests.cluster.model import Cluster
from tests.cluster.systems.empire import empire
from tests.cluster.systems.linkding import linkding
from tests.cluster.systems.node import node
from tests.cluster.systems.shop import shop
from tests.cluster.systems.three_tier import three_tier

SYSTEMS: dict[str, Callable[[], Cluster]] = {
    "three-tier": three_tier,
    "linkding": linkding,
    "empire": empire,
    "node": node,
    "shop": shop,
}
