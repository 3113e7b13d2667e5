"""What the server answers to every call but the stream of flows: status, nodes, namespaces, health, other events."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from flowmine.ingest.pb import health_pb2, observer_pb2, relay_pb2
from flowmine.ingest.pb.pool import Method
from flowmine.ingest.replay.encode import KINDS
from flowmine.ingest.replay.reading import moment
from flowmine.ingest.replay.timeline import Timeline

__all__ = ["Service"]

_HEALTHY = ("", "observer.Observer", "hubble.server.Observer")
"""The services that Hubble tells the health of (Cilium ``api/v1/observer``, ``pkg/hubble/api/v1``)."""

_GLANCE = 0.2
"""Seconds between two looks whether a client is still there."""

_VERSION = re.compile(r"(\d+)\.(\d+)\S*")


class Service:
    """Answers about a timeline; ``lost`` are the names of nodes that are away."""

    def __init__(self, timeline: Timeline, address: Callable[[], str], *, tls: bool) -> None:
        """Speak for every node of the capture at one address."""
        self._timeline, self._address, self._tls = timeline, address, tls
        self._began = time.monotonic_ns()
        self.lost: set[str] = set()

    @property
    def version(self) -> str:
        """What the server calls itself: the newest version of Cilium in the capture."""
        found = map(_VERSION.match, self._timeline.capture.versions)
        versions = [(int(one[1]), int(one[2]), one[0]) for one in found if one]
        return f"flowmine-replay v{max(versions)[2]}" if versions else "flowmine-replay"

    def unary(self) -> dict[str, tuple[Method, Callable[[Any], Any]]]:
        """Return the calls of one answer by their path: the method, and from request to response."""
        observer, health = observer_pb2.Observer, health_pb2.Health
        served = (
            (observer["ServerStatus"], self._status),
            (observer["GetNodes"], self._nodes),
            (observer["GetNamespaces"], self._namespaces),
            (health["Check"], self._health),
        )
        return {method.path: (method, answer) for method, answer in served}

    def _uptime(self) -> int:
        return time.monotonic_ns() - self._began

    def _away(self) -> list[str]:
        return sorted(self.lost.intersection(self._timeline.capture.members))

    def _status(self, _: Any) -> Any:
        held, room, seen = self._timeline.counts()
        away = self._away()
        response = observer_pb2.ServerStatusResponse(
            num_flows=held,
            max_flows=room,
            seen_flows=seen,
            uptime_ns=self._uptime(),
            unavailable_nodes=away[:10],
            version=self.version,
            flows_rate=0.0 if self._timeline.over else self._timeline.pace.rate or 0.0,
        )
        response.num_connected_nodes.value = len(self._timeline.capture.members) - len(away)
        response.num_unavailable_nodes.value = len(away)
        return response

    def _nodes(self, _: Any) -> Any:
        response = observer_pb2.GetNodesResponse()
        capture = self._timeline.capture
        for name in capture.members:
            node = capture.node_names.index(name)
            added = response.nodes.add(name=name, address=self._address())
            added.tls.enabled = self._tls
            if name in self.lost:
                added.state = relay_pb2.NodeState.Value("NODE_UNAVAILABLE")
                continue
            held, room, seen = self._timeline.counts(node)
            added.state = relay_pb2.NodeState.Value("NODE_CONNECTED")
            added.version, added.uptime_ns = self.version, self._uptime()
            added.num_flows, added.max_flows, added.seen_flows = held, room, seen
        return response

    def _namespaces(self, _: Any) -> Any:
        response = observer_pb2.GetNamespacesResponse()
        for cluster, namespace in sorted(self._timeline.capture.namespaces):
            response.namespaces.add(cluster=cluster, namespace=namespace)
        return response

    def _health(self, request: Any) -> Any:
        known = request.service in _HEALTHY
        return health_pb2.HealthCheckResponse(status="SERVING" if known else "SERVICE_UNKNOWN")

    def watch(self, request: Any, alive: Callable[[], bool]) -> Iterator[bytes]:
        """Tell the health once, and stay until the client goes."""
        yield self._health(request).SerializeToString()
        while alive():
            time.sleep(_GLANCE)

    def events(self, kind: str, request: Any, alive: Callable[[], bool]) -> Iterator[bytes]:
        """Give a node's agent or debug events.

        Raise NotImplementedError where the capture has none, as from relay itself.
        """
        capture = self._timeline.capture
        numbers = np.flatnonzero(capture.kinds == KINDS.index(kind))
        if not len(numbers):
            name = "GetAgentEvents" if kind == "agent_event" else "GetDebugEvents"
            raise NotImplementedError(f"{name} not yet implemented")
        since, until = (moment(request, bound) for bound in ("since", "until"))
        times = capture.times[numbers]
        chosen = np.ones(len(numbers), bool)
        if since is not None:
            chosen &= times >= since
        if until is not None:
            chosen &= times <= until
        numbers = numbers[chosen]
        if request.number:
            oldest = request.first or since is not None
            numbers = numbers[: request.number] if oldest else numbers[-request.number :]
        for number in numbers.tolist():
            yield capture.frames(number, number + 1)[0]
        while request.follow and alive():
            time.sleep(_GLANCE)
