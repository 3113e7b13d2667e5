"""The systems that sample captures and benchmarks are made of, by name."""

from collections.abc import Callable

from tests.cluster.model import Cluster
from tests.cluster.systems.three_tier import three_tier

SYSTEMS: dict[str, Callable[[], Cluster]] = {"three-tier": three_tier}
