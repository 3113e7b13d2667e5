"""A port of this computer that leads to hubble-relay in a cluster, through the API server, as `kubectl port-forward`.

Needs `get` on the Service, `list` on pods and `create` (before Kubernetes 1.35 `get`) on pods/portforward, in the
namespace of Cilium. Every connection looks for the pod anew, so that one that is replaced is found again.
"""

import contextlib
import json
import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flowmine.cluster.kubeconfig import client_of, library
from flowmine.errors import InputError

__all__ = ["forwarded"]

_SERVICE = "hubble-relay"
_READ = 1 << 16
_TIMEOUT = (10.0, 30.0)
_LEAVING = 2.0
"""Seconds that the other end of a stream has to close it."""


@contextmanager
def forwarded(
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    namespace: str = "kube-system",
    *,
    service: str = _SERVICE,
) -> Iterator[tuple[str, int]]:
    """Forward a free port of loopback to a pod of a Service within the block; yield its host and port.

    Raise UsageError where the Kubernetes client is not installed or no cluster is configured so, InputError where the
    Service has no pod that runs, or may not be read.
    """
    way = _Way(client_of(kubeconfig, context), namespace, service)
    way.pod()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()
        thread = threading.Thread(
            target=_accept, args=(listener, way, over), name="flowmine-forward", daemon=True
        )
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            over.set()
            with contextlib.suppress(OSError):
                socket.create_connection(listener.getsockname(), 1.0).close()
            thread.join()


class _Way:
    """Finds the pod behind a Service, and opens streams to it."""

    def __init__(self, client: Any, namespace: str, service: str) -> None:
        self._client, self._namespace, self._service = client, namespace, service
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        return str(self._client.configuration.host)

    def pod(self) -> tuple[str, int]:
        """Return the name of a pod that runs, and its port."""
        service = self._get("services", self._service)
        spec = service.get("spec") or {}
        selector = ",".join(f"{key}={value}" for key, value in (spec.get("selector") or {}).items())
        pods = self._get("pods", "", selector).get("items") or []
        running = [pod for pod in pods if _is_ready(pod)] or [pod for pod in pods if _runs(pod)]
        if not running or not selector:
            raise InputError(
                f"{self.host}: no pod of {self._namespace}/{self._service} runs: see kubectl -n {self._namespace} "
                f"get pods -l {selector or 'k8s-app=' + self._service}"
            )
        ports = spec.get("ports") or [{}]
        return str(running[0]["metadata"]["name"]), _port(ports[0], running[0])

    def open(self) -> tuple[Any, socket.socket]:
        """Return a stream to the pod: what holds it, and its socket."""
        name, port = self.pod()
        api = library("client").CoreV1Api(self._client)
        with self._lock:  # the library exchanges a method of its client meanwhile
            held = library("stream").portforward(
                api.connect_get_namespaced_pod_portforward, name, self._namespace, ports=str(port)
            )
        return held, held.socket(port)

    def _get(self, plural: str, name: str, selector: str = "") -> dict[str, Any]:
        from urllib3.exceptions import HTTPError

        client = library("client")
        api = client.CoreV1Api(self._client)
        options: dict[str, Any] = {"_preload_content": False, "_request_timeout": _TIMEOUT}
        try:
            with self._lock:
                answer = (
                    api.read_namespaced_service(name, self._namespace, **options)
                    if name
                    else api.list_namespaced_pod(self._namespace, label_selector=selector, **options)
                )
            value = json.loads(answer.data)
        except client.ApiException as error:
            raise InputError(self._refused(plural, name, error)) from error
        except (HTTPError, OSError) as error:
            raise InputError(
                f"{self.host}: the API server cannot be reached ({error}); check the network and --kube-context"
            ) from error
        except ValueError as error:
            raise InputError(f"{self.host}: the answer is no JSON; is this an API server?") from error
        return value if isinstance(value, dict) else {}

    def _refused(self, plural: str, name: str, error: Any) -> str:
        if error.status == 404:
            return (
                f"{self.host}: no Service {name} in {self._namespace}: is hubble.relay.enabled, and Cilium there? "
                "(--kube-namespace names another)"
            )
        if error.status in (401, 403):
            return (
                f"{self.host}: {'get' if name else 'list'} on {plural} in {self._namespace} is not allowed "
                f"({error.status}); ask for that and for create on pods/portforward"
            )
        return f"{self.host}: cannot read {plural} ({error.status} {error.reason})"


def _runs(pod: dict[str, Any]) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running" and not pod["metadata"].get(
        "deletionTimestamp"
    )


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return _runs(pod) and any(
        each.get("type") == "Ready" and each.get("status") == "True" for each in conditions
    )


def _port(of_service: dict[str, Any], pod: dict[str, Any]) -> int:
    """Return the pod's number for a Service's port, whose target may be a name."""
    target = of_service.get("targetPort") or of_service.get("port") or 4245
    if isinstance(target, int):
        return target
    named = {
        port.get("name"): port.get("containerPort")
        for container in (pod.get("spec") or {}).get("containers") or ()
        for port in container.get("ports") or ()
    }
    return int(named.get(target) or 4245)


def _accept(listener: socket.socket, way: _Way, over: threading.Event) -> None:
    while True:
        near, _ = listener.accept()
        if over.is_set():
            near.close()
            return
        threading.Thread(target=_carry, args=(near, way, over), name="flowmine-forward", daemon=True).start()


def _carry(near: socket.socket, way: _Way, over: threading.Event) -> None:
    """Carry bytes both ways until either end closes; who connected sees a closed connection where there is no way."""
    with near:
        try:
            held, far = way.open()
        except Exception:  # whatever the library says; the connection ends, and its user says so
            return
        try:
            _both_ways(near, far, over)
        except OSError:
            return
        finally:
            _leave(far)
            with contextlib.suppress(Exception):
                held.close()


def _leave(far: socket.socket) -> None:
    """Close the end of a stream, its other end first: what lies unread would be an error in the library's thread."""
    with contextlib.closing(far), contextlib.suppress(OSError):
        far.shutdown(socket.SHUT_WR)
        far.settimeout(_LEAVING)
        while far.recv(_READ):
            pass


def _both_ways(near: socket.socket, far: socket.socket, over: threading.Event) -> None:
    other = {near: far, far: near}
    while not over.is_set():
        ready, _, _ = select.select(list(other), [], [], 1.0)
        for one in ready:
            data = one.recv(_READ)
            if not data:
                return
            other[one].sendall(data)
