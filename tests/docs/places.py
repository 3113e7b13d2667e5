"""Where the sessions of the documentation run against: a relay (a replay), and an API server with policies in force."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.cluster_api.apiserver import ApiServer, kubeconfig
from tests.cluster_api.forwarding import Forwarder, forwarding

__all__ = ["ROOT", "clustered", "end", "free_port", "listens", "replayed"]

ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0
_SERVING = re.compile(r"^serving .* at 127\.0\.0\.1:(\d+)")
_SYSTEM = "/api/v1/namespaces/kube-system"
_POD = "hubble-relay-6d5f9c7b8-4xq2p"
_PLURALS = {
    "CiliumNetworkPolicy": "/apis/cilium.io/v2/ciliumnetworkpolicies",
    "CiliumClusterwideNetworkPolicy": "/apis/cilium.io/v2/ciliumclusterwidenetworkpolicies",
    "CiliumCIDRGroup": "/apis/cilium.io/v2/ciliumcidrgroups",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/networkpolicies",
}


@contextmanager
def replayed(capture: Path) -> Iterator[int]:
    """Serve a capture as relay would within the block, and give the port."""
    command = [sys.executable, "-m", "flowmine", "replay", str(capture), "--listen", "127.0.0.1:0"]
    running = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        told = (_SERVING.search(line) for line in running.stderr or ())
        yield int(next(found[1] for found in told if found))
    finally:
        end(running)
        if running.stderr:
            running.stderr.close()


@contextmanager
def clustered(policies: Path, folder: Path, relay: int) -> Iterator[Path]:
    """Serve a cluster with policies in force and a relay, which listens at a port, and give its kubeconfig in a folder."""
    service = {
        "metadata": {"name": "hubble-relay"},
        "spec": {"selector": {"k8s-app": "hubble-relay"}, "ports": [{"port": 80, "targetPort": 4245}]},
    }
    pod = {
        "metadata": {"name": _POD},
        "spec": {"containers": [{"ports": [{"containerPort": 4245}]}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    api = ApiServer(
        lists={**_lists(policies), f"{_SYSTEM}/pods": [pod]},
        always={f"{_SYSTEM}/services/hubble-relay": (200, service)},
    )
    with forwarding(Forwarder(api, {_POD: ("127.0.0.1", relay)})) as found:
        yield kubeconfig(folder, found.api.url)


def _lists(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the policies of a folder as an API server lists them."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list, {path: [] for path in _PLURALS.values()})
    for path in sorted(folder.glob("*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text("utf-8")):
            found[_PLURALS[manifest["kind"]]].append(manifest)
    return found


def free_port() -> int:
    """Return a port of loopback that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def listens(port: int, running: subprocess.Popen[Any]) -> None:
    """Wait until a process listens at a port; raise TimeoutError where it does not."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and running.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens at port {port}: {running.args!r} ended with {running.poll()}")


def end(running: subprocess.Popen[Any]) -> None:
    """End a process, in good order if it can."""
    running.send_signal(signal.SIGINT)
    try:
        running.wait(10)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
