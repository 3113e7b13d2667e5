"""`-P`: hubble-relay is found through the API server, its port forwarded, and flows read through it."""

import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flowmine.cli import main
from flowmine.cluster.portforward import forwarded
from flowmine.errors import InputError
from flowmine.ingest.relay import Server
from flowmine.ingest.replay import Replay
from tests.cluster_api.apiserver import ApiServer, kubeconfig
from tests.cluster_api.forwarding import Forwarder, forwarding
from tests.ingest.relaying import events, relay

pytest.importorskip("kubernetes", reason="the Kubernetes client, an optional part, is not installed")

SYSTEM = "/api/v1/namespaces/kube-system"
SERVICE = {
    "metadata": {"name": "hubble-relay"},
    "spec": {"selector": {"k8s-app": "hubble-relay"}, "ports": [{"port": 80, "targetPort": "grpc"}]},
}


def pod(name: str, *, ready: bool = True, phase: str = "Running") -> dict[str, Any]:
    """A pod of hubble-relay."""
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"ports": [{"name": "grpc", "containerPort": 4245}]}]},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def cluster(*pods: dict[str, Any], targets: dict[str, tuple[str, int]] | None = None) -> Forwarder:
    """A cluster with hubble-relay's Service and some pods."""
    api = ApiServer(
        lists={f"{SYSTEM}/pods": list(pods)}, always={f"{SYSTEM}/services/hubble-relay": (200, SERVICE)}
    )
    return Forwarder(api, targets or {})


def target(server: Replay) -> tuple[str, int]:
    """Where a server listens."""
    host, _, port = server.address.rpartition(":")
    return host, int(port)


def test_flows_are_read_through_a_forwarded_port(tmp_path: Path) -> None:
    """The pod that is ready is taken, at the number of the Service's named port, and gives all its flows."""
    with (
        Replay(events(500)) as server,
        forwarding(
            cluster(pod("waits", ready=False), pod("serves"), targets={"serves": target(server)})
        ) as found,
        forwarded(kubeconfig(tmp_path, found.api.url)) as (host, port),
    ):
        rows = sum(batch.num_rows for batch in relay(Server(f"{host}:{port}")).batches())
    assert rows == 500
    assert set(found.streams) == {("serves", "ports=4245")}


def test_a_pod_that_is_replaced_is_found_again(tmp_path: Path) -> None:
    """Each connection looks for the pod anew."""
    with Replay(events(5)) as old, Replay(events(9)) as new:
        targets = {"old": target(old), "new": target(new)}
        with (
            forwarding(cluster(pod("old"), targets=targets)) as found,
            forwarded(kubeconfig(tmp_path, found.api.url)) as (host, port),
        ):
            before = sum(batch.num_rows for batch in relay(Server(f"{host}:{port}")).batches())
            found.api.lists = {f"{SYSTEM}/pods": [pod("new")]}
            after = sum(batch.num_rows for batch in relay(Server(f"{host}:{port}")).batches())
    assert (before, after) == (5, 9)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (Forwarder(ApiServer(), {}), "no Service hubble-relay in kube-system: is hubble.relay.enabled"),
        (
            cluster(),
            "no pod of kube-system/hubble-relay runs: see kubectl -n kube-system get pods -l k8s-app=",
        ),
        (cluster(pod("gone", phase="Failed")), "no pod of kube-system/hubble-relay runs"),
        (
            Forwarder(ApiServer(always={f"{SYSTEM}/services/hubble-relay": (403, {})}), {}),
            "get on services in kube-system is not allowed (403); ask for that and for create on pods/portforward",
        ),
    ],
)
def test_what_cannot_be_forwarded_is_told(tmp_path: Path, found: Forwarder, message: str) -> None:
    """No Service, no pod, no right: each is a sentence before anything is connected."""
    with (
        forwarding(found),
        pytest.raises(InputError) as failed,
        forwarded(kubeconfig(tmp_path, found.api.url)),
    ):
        pass
    assert str(failed.value)[: len(f"{found.api.url}: {message}")] == f"{found.api.url}: {message}"


def test_an_api_server_that_is_away_is_told(tmp_path: Path) -> None:
    """Nothing at the cluster's address is told as that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with (
        pytest.raises(InputError, match="the API server cannot be reached"),
        forwarded(kubeconfig(tmp_path, url)),
    ):
        pass


def test_the_command_line_forwards(tmp_path: Path) -> None:
    """-P with --kubeconfig reads relay in place of INPUT; a context and a namespace need -P."""
    with (
        Replay(events(20)) as server,
        forwarding(cluster(pod("serves"), targets={"serves": target(server)})) as found,
    ):
        config = str(kubeconfig(tmp_path, found.api.url))
        read = CliRunner().invoke(main, ["edges", "-P", "--kubeconfig", config, "-o", "json"])
        wrong = CliRunner().invoke(main, ["edges", "--kube-context", "kind"])
    assert (read.exit_code, "20 flows read" in read.stderr) == (0, True)
    assert (wrong.exit_code, "--kube-context says where to forward a port: give -P too" in wrong.stderr) == (
        2,
        True,
    )
